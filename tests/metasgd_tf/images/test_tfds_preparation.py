"""Data sets that are not there, cannot be downloaded, or are damaged."""

import os
import re
import shutil

import pytest
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from metasgd_tf.flags import run_flags
from metasgd_tf.images import tfds_preparation
from metasgd_tf.tasks import tfds_images
from tests import synthetic_tfds
from tests.metasgd_tf.shell import assert_refused, command
from trainers.errors import InputError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    synthetic_tfds.StripedFlags(data_dir=str(path)).download_and_prepare()
    return path


def read(data_dir, dataset="striped_flags"):
    """Reads a data set as a command does."""
    arguments = ["--task=tfds_images", f"--dataset={dataset}", f"--data_dir={data_dir}"]
    return tfds_images.from_flags(run_flags.parse([*arguments, "--ways=3"]), ("test",))


class Network:
    """Stands in for a network in which some hosts answer, and counts the questions."""

    def __init__(self, monkeypatch, *hosts):
        self.hosts, self.asked = hosts, []
        monkeypatch.setattr(requests, "head", self.head)

    def head(self, url, timeout):
        self.asked.append(url)
        if not any(host in url for host in self.hosts):
            raise requests.ConnectionError(url)


def test_without_network_and_data_a_person_is_told_what_to_do(tmp_path, monkeypatch):
    network = Network(monkeypatch)
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", lambda *_: pytest.fail("tried")
    )
    with pytest.raises(InputError) as info:
        read(tmp_path, "cifar100")
    message = str(info.value)
    assert message.startswith(f"data_dir={tmp_path}: holds no prepared cifar100/3.0.2, and it ")
    assert "(ConnectionError); run once with a network, or point --data_dir" in message
    assert "manual" not in message
    assert network.asked == ["https://www.cs.toronto.edu"] and not list(tmp_path.iterdir())


def test_a_home_of_nobody_holds_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="dataset=unheard_of: .*has nothing of this name"):
        read("~nobody_of_this_name/data", "unheard_of")


def test_where_files_have_to_be_fetched_by_hand_their_place_is_named(tmp_path, monkeypatch):
    Network(monkeypatch)
    with pytest.raises(InputError, match=f"put what http.* into {tmp_path}/downloads/manual"):
        read(tmp_path, "imagenet2012")


CIFAR = ("cifar-100-binary.tar.gz", 168_513_733)
"""The one file that cifar100 is prepared from, and its size."""


def prepared(monkeypatch, data_dir, name="cifar100"):
    """Prepares a data set and returns how often its downloads would have been tried again."""
    builder, tried = tfds.builder(name, data_dir=str(data_dir)), []
    monkeypatch.setattr(
        builder, "download_and_prepare", lambda: tried.append(downloader.MAX_RETRIES)
    )
    tfds_preparation.prepare(builder)
    return tried


def test_data_are_downloaded_where_their_host_answers(tmp_path, monkeypatch):
    before = downloader.MAX_RETRIES
    network = Network(monkeypatch, "cs.toronto.edu")
    (retries,) = prepared(monkeypatch, tmp_path)
    assert network.asked == ["https://www.cs.toronto.edu"]
    # The process lives until the last one: together they may take seconds.
    assert sum(0.2 * 2**number for number in range(retries)) < 5
    assert before == downloader.MAX_RETRIES


def test_that_another_host_answers_is_of_no_use(tmp_path, monkeypatch):
    Network(monkeypatch, "tensorflow.org")
    with pytest.raises(InputError, match=r"holds no prepared cifar100/3.0.2.*ConnectionError"):
        prepared(monkeypatch, tmp_path)


@pytest.mark.parametrize("hosts", [("tensorflow.org",), ("example.org",)])
def test_where_no_addresses_are_known_any_host_will_do(tmp_path, monkeypatch, hosts):
    network = Network(monkeypatch, *hosts)
    monkeypatch.setattr(synthetic_tfds.StripedFlags, "url_infos", None)
    builder = synthetic_tfds.StripedFlags(data_dir=str(tmp_path))
    homepage = property(lambda _: "https://example.org/flags")
    monkeypatch.setattr(tfds.core.DatasetInfo, "homepage", homepage)
    monkeypatch.setattr(builder, "download_and_prepare", lambda: None)
    tfds_preparation.prepare(builder)
    assert hosts[0] in network.asked[-1]


def test_files_fetched_by_hand_need_no_network(tmp_path, monkeypatch):
    network, manual = Network(monkeypatch), tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / CIFAR[0]).touch()
    os.truncate(manual / CIFAR[0], CIFAR[1])
    assert len(prepared(monkeypatch, tmp_path)) == 1 and not network.asked


def test_other_files_there_make_no_difference(tmp_path, monkeypatch):
    Network(monkeypatch)
    (tmp_path / "downloads" / "manual").mkdir(parents=True)
    (tmp_path / "downloads" / "manual" / "some.tar").touch()
    with pytest.raises(InputError, match="holds no prepared cifar100"):
        prepared(monkeypatch, tmp_path)


def test_a_file_that_was_fetched_in_part_is_named(tmp_path, monkeypatch):
    network, manual = Network(monkeypatch), tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / CIFAR[0]).write_bytes(b"begun")
    with pytest.raises(InputError) as info:
        prepared(monkeypatch, tmp_path)
    assert str(info.value) == (
        f"data_dir={tmp_path}: {manual / CIFAR[0]} has 5 bytes in place of 168,513,733; fetch it "
        "again, or remove it"
    )
    assert not network.asked


def test_a_file_that_is_another_one_is_named(tmp_path, monkeypatch):
    Network(monkeypatch, "toronto.edu")
    builder = tfds.builder("cifar100", data_dir=str(tmp_path))

    def refuse():
        raise NonMatchingChecksumError("Artifact of mine, has wrong checksum:\n* Expected: …")

    monkeypatch.setattr(builder, "download_and_prepare", refuse)
    with pytest.raises(InputError, match=r"prepared \(Artifact of mine, has wrong checksum\); run"):
        tfds_preparation.prepare(builder)


SHARD = "striped_flags-{}.tfrecord-00000-of-00001"


def damaged(data_dir, copy, name, how):
    """Copies a data set and does harm to one of its files."""
    shutil.copytree(data_dir, copy, dirs_exist_ok=True)
    (path,) = copy.rglob(name)
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        half = len(data) // 2
        path.write_bytes(
            {"cut": data[: half + 9], "empty": b"", "other": data[:half] + b"\xff" * 9}[how]
        )


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("gone", "striped_flags-{}.tfrecord-00000-of-00001; No such file or directory"),
        ("cut", "truncated record at"),
        ("empty", "Input dataset was expected to contain 85 elements but contained only"),
        ("other", "(truncated|corrupted) record at"),
    ],
)
def test_a_damaged_file_of_examples_is_one_sentence(data_dir, tmp_path, split, how, reason):
    damaged(data_dir, tmp_path, SHARD.format(split), how)
    with pytest.raises(InputError) as info:
        read(tmp_path)
    message = str(info.value)
    start = f"data_dir={tmp_path}: the data set in {tmp_path}/striped_flags/1.2.3 is damaged ("
    assert message.startswith(start) and "\n" not in message and "{{" not in message
    assert re.search(reason.format(split), message)
    assert message.endswith(
        "; put a whole copy in its place, or remove it and run once with a "
        "network to have it prepared anew"
    )


@pytest.mark.parametrize("how", ["cut", "empty", "other"])
def test_so_is_a_damaged_description(data_dir, tmp_path, how):
    damaged(data_dir, tmp_path, "dataset_info.json", how)
    with pytest.raises(InputError) as info:
        read(tmp_path)
    start = f"data_dir={tmp_path}: the data set in {tmp_path}/striped_flags is damaged ("
    assert str(info.value).startswith(start)


@pytest.mark.parametrize(
    "name", ["", "/data/mine", "..", "striped_flags/foo", "striped_flags/..", "striped_flags:9.9.9"]
)
def test_a_name_that_is_none_damages_no_data_set_beside_it(data_dir, name):
    with pytest.raises(InputError, match=f"^dataset={name}: TensorFlow Datasets has nothing of"):
        read(data_dir, name)


@pytest.mark.parametrize("name", ["striped_flags:1.2.3", "striped_flags"])
def test_a_damaged_version_is_one_by_either_name(data_dir, tmp_path, name):
    damaged(data_dir, tmp_path, "dataset_info.json", "cut")
    with pytest.raises(InputError, match="the data set in .*/striped_flags.* is damaged"):
        read(tmp_path, name)


def test_a_data_set_without_its_description_is_a_part_of_one(data_dir, tmp_path, monkeypatch):
    Network(monkeypatch)
    damaged(data_dir, tmp_path, "dataset_info.json", "gone")
    with pytest.raises(InputError, match="holds only a part of prepared striped_flags/1.2.3, and"):
        read(tmp_path)


def test_a_command_ends_at_once_with_the_sentence(data_dir, tmp_path):
    damaged(data_dir, tmp_path / "data", SHARD.format("train"), "cut")
    copy = tmp_path / "data" / "other_flags" / "1.2.3"
    copy.mkdir(parents=True)
    for path in (tmp_path / "data" / "striped_flags" / "1.2.3").iterdir():
        data = path.read_bytes().replace(b"striped_flags", b"other_flags")
        (copy / path.name.replace("striped_flags", "other_flags")).write_bytes(data)
    arguments = ["--task=tfds_images", "--dataset=other_flags", f"--data_dir={tmp_path / 'data'}"]
    done = command("train", *arguments, "--ways=3", f"--model_dir={tmp_path / 'run'}")
    assert f"the data set in {copy} is damaged (truncated record" in assert_refused(done)
    assert not (tmp_path / "run").exists()
