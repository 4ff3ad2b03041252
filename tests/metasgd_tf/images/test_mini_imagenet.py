"""MiniImagenet: what is loaded of it, and what is refused or taken knowingly."""

import pathlib

import numpy as np
import pytest

from metasgd_tf.images import mini_imagenet
from metasgd_tf.images.mini_imagenet import builder, loading
from tests import synthetic_mini_imagenet as synthetic
from tests.synthetic_mini_imagenet import CONTENTS, LAYOUTS
from trainers.errors import InputError


@pytest.fixture
def small_contents(monkeypatch):
    monkeypatch.setattr(builder, "complete", lambda: CONTENTS)


@pytest.fixture
def manual_dir(tmp_path):
    """The layout `images/` with the CSV files, complete."""
    folder = tmp_path / "manual"
    folder.mkdir()
    synthetic.write_images(folder)
    return folder


def config_dir(data_dir, config):
    return pathlib.Path(data_dir) / "mini_imagenet" / config


def check_split(images, split):
    """Checks that a loaded split has each of its images once, at the right class."""
    names = synthetic.CLASSES[split]
    assert images.class_names == names
    assert images.images.shape == (3 * len(names), 84, 84, 3)
    assert images.images.dtype == np.uint8 and images.labels.dtype == np.int64
    np.testing.assert_array_equal(images.labels, np.repeat(np.arange(len(names)), 3))
    expected = {
        synthetic.colour(name, number): name
        for name in names
        for number in synthetic.TAKEN.values()
    }
    for image, label in zip(images.images, images.labels, strict=True):
        # JPEG changes a colour by a little, and the next colour is 30 away.
        distance = {colour: np.abs(image - np.float32(colour)).max() for colour in expected}
        nearest = min(distance, key=distance.__getitem__)
        assert distance[nearest] < 5 and expected.pop(nearest) == names[label]


@pytest.mark.usefixtures("small_contents")
def test_every_layout_gives_the_same_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "BATCH", 2)
    splits = ("train", "validation", "test")
    loaded = []
    for layout in ("images", "class_folders", "ilsvrc_tar"):
        manual_dir = tmp_path / layout
        manual_dir.mkdir()
        LAYOUTS[layout](manual_dir)
        loaded.append(mini_imagenet.load(str(tmp_path / f"{layout}_data"), splits, str(manual_dir)))
    for split in splits:
        check_split(loaded[0][split], split)
        for other in loaded[1:]:
            np.testing.assert_array_equal(other[split].images, loaded[0][split].images)
            np.testing.assert_array_equal(other[split].labels, loaded[0][split].labels)


@pytest.mark.usefixtures("small_contents")
def test_sets_are_prepared_once_and_from_tfds_own_place(tmp_path):
    manual_dir = tmp_path / "downloads" / "manual"
    manual_dir.mkdir(parents=True)
    synthetic.write_images(manual_dir)
    first = mini_imagenet.load(str(tmp_path), ["test"])
    for path in manual_dir.glob("*.csv"):
        path.unlink()
    again = mini_imagenet.load(str(tmp_path), ["test"])
    assert list(first) == list(again) == ["test"]
    check_split(first["test"], "test")
    np.testing.assert_array_equal(again["test"].images, first["test"].images)


@pytest.mark.usefixtures("small_contents")
def test_what_is_lacking_is_refused_or_taken_knowingly(tmp_path, caplog):
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    synthetic.write_class_folders(manual_dir)
    (manual_dir / "train" / "n01558993" / "n0155899300000003.jpg").unlink()
    arguments = (str(tmp_path), ["train"], str(manual_dir))
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(*arguments)
    assert str(raised.value) == (
        f"manual_dir={manual_dir}: mini-ImageNet is incomplete there: classes that have not the "
        "right number of images (1): n01558993 (2 instead of 3); complete it, or ask for "
        "mini_imagenet/incomplete (allow_incomplete=True)"
    )
    assert "is incomplete there: classes that have not the right number" in caplog.text
    caplog.clear()
    images = mini_imagenet.load(*arguments, allow_incomplete=True)["train"]
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1, 2, 2, 2])
    assert caplog.text.count("is incomplete there: classes that have not the right number") == 1
    assert len(images.images) == 8
    assert config_dir(tmp_path, "incomplete").exists()
    assert not (config_dir(tmp_path, "complete") / "1.0.0").exists()
    with pytest.raises(InputError, match="is incomplete there"):
        mini_imagenet.load(*arguments)


@pytest.mark.usefixtures("small_contents")
def test_all_that_is_lacking_is_in_one_error(tmp_path, manual_dir):
    images = manual_dir / "images"
    (images / "n0153282900000002.jpg").unlink()
    (images / "n0193011200000005.jpg").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(str(tmp_path), ["train"], str(manual_dir))
    message = str(raised.value)
    assert "names in the CSV files without a file (1): train.csv n0153282900000002.jpg" in message
    assert "n01532829 (2 instead of 3)" in message
    reason = "the bytes are no PNG or JPEG"
    assert f"decoded (1): {images}/n0193011200000005.jpg ({reason}); complete" in message
    assert not list(config_dir(tmp_path, "complete").iterdir())


@pytest.mark.usefixtures("small_contents")
def test_unreadable_images_are_reported_together(tmp_path, manual_dir, caplog):
    images = manual_dir / "images"
    cut, empty, text = (
        images / f"{name}.jpg"
        for name in ("n0153282900000002", "n0185567200000003", "n0193011200000005")
    )
    cut.write_bytes(cut.read_bytes()[:-200])
    empty.write_bytes(b"")
    text.write_bytes(b"<html>Not found</html>")
    arguments = (str(tmp_path), ["train", "test"], str(manual_dir))
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(*arguments)
    message = str(raised.value)
    assert "images that cannot be read or decoded (3): " in message and "\n" not in message
    assert message.index(f"{cut} (damaged)") < message.index(f"{empty} (the bytes are no PNG or")
    assert message.index(str(empty)) < message.index(f"{text} (the bytes are no PNG or JPEG)")
    assert not list(config_dir(tmp_path, "complete").iterdir())
    caplog.clear()
    loaded = mini_imagenet.load(*arguments, allow_incomplete=True)
    assert caplog.text.count("is incomplete there: images that cannot be read or decoded (3)") == 1
    np.testing.assert_array_equal(loaded["train"].labels, [0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(loaded["test"].labels, [0, 0])


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_may_lack_a_class(tmp_path, manual_dir):
    for path in (manual_dir / "images").glob("n01558993*"):
        path.unlink()
    images = mini_imagenet.load(str(tmp_path), ["train"], str(manual_dir), True)["train"]
    assert images.class_names == ("n01532829", "n01704323")
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1, 1])


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_may_lack_a_split(tmp_path, manual_dir):
    arguments = (str(tmp_path), ["test"], str(manual_dir), True)
    for path in (manual_dir / "images").glob("n01930112*"):
        path.unlink()
    with pytest.raises(InputError, match=r"splits=test: .* without any of its images"):
        mini_imagenet.load(*arguments)
    check_split(mini_imagenet.load(str(tmp_path), ["train"], None, True)["train"], "train")


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_of_nothing_is_refused(tmp_path):
    manual_dir = tmp_path / "manual"
    (manual_dir / "images").mkdir(parents=True)
    synthetic.write_csv(manual_dir)
    with pytest.raises(InputError, match=f"manual_dir={manual_dir}: holds none of the images"):
        mini_imagenet.load(str(tmp_path), ["test"], str(manual_dir), allow_incomplete=True)


def test_other_splits_are_refused(tmp_path):
    with pytest.raises(InputError, match="splits=val: should be among train, validation, test"):
        mini_imagenet.load(str(tmp_path), ["train", "val"])


def test_nothing_to_prepare_from_is_refused(tmp_path):
    message = (
        f"data_dir={tmp_path}: holds no prepared mini_imagenet/complete/1.0.0, and manual_dir="
        f"{tmp_path}/downloads/manual, from which to prepare it, is not there; "
    )
    with pytest.raises(InputError, match=f"^{message}"):
        mini_imagenet.load(str(tmp_path), ["train"])


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    synthetic.write_class_folders(tmp_path)
    with pytest.raises(InputError, match=f"data_dir={tmp_path}/file: .* could not be prepared"):
        mini_imagenet.load(str(tmp_path / "file"), ["train"], str(tmp_path))


@pytest.mark.usefixtures("small_contents")
@pytest.mark.parametrize(
    ("file", "level", "reason"),
    [("*-train.tfrecord*", 0, "truncated record at"), ("dataset_info.json", 1, "")],
)
def test_a_file_that_is_damaged_later_is_one_sentence(tmp_path, manual_dir, file, level, reason):
    mini_imagenet.load(str(tmp_path), ["train"], str(manual_dir))
    (path,) = config_dir(tmp_path, "complete").rglob(file)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(str(tmp_path), ["train"], str(manual_dir))
    start = f"data_dir={tmp_path}: the data set in {path.parents[level]} is damaged ({reason}"
    assert str(raised.value).startswith(start)


def test_a_home_of_nobody_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="manual_dir=~nobody_of_this_name.* is not there; put"):
        mini_imagenet.load(str(tmp_path), ["train"], "~nobody_of_this_name")
