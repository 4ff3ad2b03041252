"""Which files of folders are classified, and as what they are sent to an export."""

import csv
import json
import os
import shutil
import types

import pytest
from PIL import Image

from metasgd_tf.clients import classifying, drawings
from tests.metasgd_tf.shell import LIMIT, read, start
from trainers.errors import InputError


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    drawings.write(str(folder))
    return folder


def answers(export_dir, folder):
    support = classifying.find_support(str(folder / "support"))
    queries = classifying.find_queries(str(folder / "query"))
    return classifying.classify(str(export_dir), support, queries)


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "options"), [("webp", {"lossless": True}), ("tiff", {})])
def test_other_formats_are_classified_as_png_are(exports, examples, tmp_path, suffix, options):
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    for path in list(tmp_path.rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(f".{suffix}"), **options)
        path.unlink()
    export_dir = exports("transductive")[1].parent
    for one, other in zip(
        answers(export_dir, tmp_path), answers(export_dir, examples), strict=True
    ):
        assert one.path.stem == other.path.stem and one.name == other.name
        assert one.probabilities == other.probabilities


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_table_is_written_that_cannot_be_printed(exports, examples, tmp_path):
    export_dir, output = exports("transductive")[1].parent, tmp_path / "table.csv"
    (tmp_path / "stdout").symlink_to("/dev/full")
    folders = [f"--{name}_dir={examples / name}" for name in ("support", "query")]
    running = start(
        tmp_path, "classify", f"--export_dir={export_dir}", *folders, f"--output={output}"
    )
    running.join(LIMIT)
    assert running.exitcode == 1
    assert read(tmp_path, "stderr").splitlines()[-1].startswith("error: standard output: No space")
    assert len(output.read_text(encoding="utf-8").splitlines()) == 16


@pytest.mark.parametrize("content", ["[]", "7", "{", "null"])
def test_facts_that_are_none_are_left_out(tmp_path, content):
    folder = tmp_path / "1" / "assets.extra"
    folder.mkdir(parents=True)
    (tmp_path / "1" / "saved_model.pb").touch()
    (folder / "export.json").write_text(content, encoding="utf-8")
    assert classifying.facts(str(tmp_path)) == {}


def test_what_is_no_image_by_its_name_is_not_classified(examples, tmp_path, capsys):
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    (tmp_path / "query" / "notes.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "support" / "house" / "README").write_text("no image", encoding="utf-8")
    given = classifying.find_queries(str(tmp_path / "query"))
    assert [path.name for path in given] == sorted(
        path.name for path in (examples / "query").iterdir()
    )
    assert [path.name for path in classifying.find_support(str(tmp_path / "support"))["house"]] == [
        "0.png"
    ]
    said = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["notes.txt", "house/README"]


def test_names_that_cannot_be_written_are_shown_otherwise(tmp_path):
    path, name = tmp_path / os.fsdecode(b"d\xe9p\n.png"), os.fsdecode(b"p\xf4t")
    given = [classifying.Prediction(path, name, 0.75, {name: 0.75, "$5$": 0.25})]
    outputs = [str(tmp_path / os.fsdecode(b"\xe9" + ending)) for ending in (b".csv", b".json")]
    for output in outputs:
        classifying.write(given, output, {})
    with open(outputs[0], newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [[r"d\xe9p\n.png", r"p\xf4t", "0.75"]]
    with open(outputs[1], encoding="utf-8") as file:
        (result,) = json.load(file)["results"]
    assert (result["name"], result["class"]) == (r"d\xe9p\n.png", r"p\xf4t")
    assert result["probabilities"] == {r"p\xf4t": 0.75, "$5$": 0.25}
    assert len(list(tmp_path.iterdir())) == 2
    assert r"d\xe9p\n.png" in classifying.table(given).splitlines()[1]


def test_steps_are_refused_of_an_export_that_has_no_such(monkeypatch):
    # As exports of learners that compare embeddings are.
    held = types.SimpleNamespace(signatures={"classify_images": None})
    monkeypatch.setattr(classifying, "_loaded", lambda export_dir: held)
    with pytest.raises(InputError, match="inner_steps=3: the learner of export_dir=some learns in"):
        classifying.classify("some", {}, [], inner_steps=3)
