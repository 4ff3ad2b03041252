"""Which files of folders are classified, and as what they are sent to an export."""

import shutil

import pytest
from PIL import Image

from metasgd_tf.serving import classifying, drawings


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    drawings.write(str(folder))
    return folder


def answers(export_dir, folder):
    support = classifying.find_support(str(folder / "support"))
    queries = classifying.find_queries(str(folder / "query"))
    return classifying.classify(str(export_dir), support, queries)


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
