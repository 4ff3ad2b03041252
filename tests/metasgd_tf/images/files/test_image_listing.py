"""Which files of a folder are found, as images of which class and split."""

import os

import pytest

from metasgd_tf.images.files.image_listing import find, find_splits
from trainers.errors import InputError


def touch(root, *names, data=b"whatever, as no file is opened"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_files_are_found_in_the_order_of_their_names(tmp_path):
    touch(tmp_path, "b/10.png", "b/9.png", "a c/z.png", "b/Z.PNG", "a c/é.png", "Ä/1.gif")
    assert [
        (name, [path.name for path in paths]) for name, paths in find(str(tmp_path)).items()
    ] == [("a c", ["z.png", "é.png"]), ("b", ["10.png", "9.png", "Z.PNG"]), ("Ä", ["1.gif"])]


def test_the_order_in_which_the_disk_lists_does_not_matter(tmp_path, monkeypatch):
    touch(tmp_path, "b/2.png", "b/1.png", "a/1.png")
    expected = find(str(tmp_path))
    listing = os.scandir

    class Backwards:
        def __init__(self, path):
            self.entries = sorted(listing(path), key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    found = find(str(tmp_path))
    assert list(found) == list(expected) == ["a", "b"] and found == expected


def test_what_is_no_image_by_its_name_is_left_out_and_named_once(tmp_path, capsys):
    touch(tmp_path, "a/1.png", "a/2.WebP", "a/no suffix", "b/3.tif", "b/odd.suffix")
    inside = ["a/.DS_Store", "a/Thumbs.db", "a/notes.TXT", "b/._1.png", "b/labels.csv"]
    beside = ["README", "README.md", "loose.png", "splits.json"]
    touch(tmp_path, *inside, *beside, ".git/config", data=b"clutter")
    found = find(str(tmp_path))
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "a": ["1.png", "2.WebP", "no suffix"],
        "b": ["3.tif", "odd.suffix"],
    }
    names = ", ".join(sorted([*inside, *beside]))
    expected = f"note: image_dir={tmp_path}: left out, as no image of a class: {names}\n"
    assert capsys.readouterr().err == expected


def test_a_named_pipe_is_left_out_and_a_broken_link_is_not(tmp_path, capsys):
    touch(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a" / "2.png")  # Who opens it waits until somebody writes.
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "gone")
    (tmp_path / "a" / "4.png").symlink_to(tmp_path / "a" / "1.png")
    found = find(str(tmp_path))
    assert [path.name for path in found["a"]] == ["1.png", "3.png", "4.png"]
    assert capsys.readouterr().err.endswith("left out, as no image of a class: a/2.png\n")


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, capsys):
    touch(tmp_path, "a/1.png")
    find(str(tmp_path))
    assert capsys.readouterr().err == ""


def test_many_that_are_left_out_are_counted(tmp_path, capsys):
    touch(tmp_path, "a/1.png", *(f"a/{number:02}.txt" for number in range(30)))
    find(str(tmp_path))
    assert capsys.readouterr().err.endswith("a/08.txt, a/09.txt and 20 others\n")


def test_links_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/cats/1.png", "classes/dogs/1.png")
    (tmp_path / "classes" / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (tmp_path / "classes" / "dogs" / "2.png").symlink_to(tmp_path / "elsewhere/cats/1.png")
    found = find(str(tmp_path / "classes"))
    assert {name: len(paths) for name, paths in found.items()} == {"cats": 1, "dogs": 2}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no sub-folders"),
        (["1.png"], "has no sub-folders"),
        (["a/1.png", "b/.DS_Store", "c/notes.txt"], "but b has no images, c has no images"),
        (["a/1.png", "b/more/1.png"], "but b/more is a folder"),
    ],
)
def test_a_folder_of_another_form_is_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=f"image_dir={tmp_path}: .*{message}"):
        find(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=f"image_dir={tmp_path}/x: .*No such file or directory"):
        find(str(tmp_path / "x"))
    touch(tmp_path, "file")
    with pytest.raises(InputError, match=f"image_dir={tmp_path}/file: .*Not a directory"):
        find(str(tmp_path / "file"))


def named(splits):
    return {
        split: {name: [path.name for path in paths] for name, paths in classes.items()}
        for split, classes in splits.items()
    }


@pytest.mark.parametrize("validation", ["val", "validation", "Val"])
def test_folders_of_splits_hold_the_classes(tmp_path, validation, capsys):
    touch(tmp_path, "train/b/2.png", "train/b/1.png", "train/a/1.webp", "test/d/1.png")
    touch(tmp_path, f"{validation}/c/1.png", "README.md", "train/list.csv", "test/d/notes.txt")
    touch(tmp_path, "test/loose.png")
    found = find_splits(str(tmp_path))
    assert list(found) == ["train", "validation", "test"]
    assert named(found) == {
        "train": {"a": ["1.webp"], "b": ["1.png", "2.png"]},
        "validation": {"c": ["1.png"]},
        "test": {"d": ["1.png"]},
    }
    assert found["train"]["b"][0] == tmp_path / "train" / "b" / "1.png"
    names = "README.md, test/d/notes.txt, test/loose.png, train/list.csv"
    assert capsys.readouterr().err.splitlines() == [
        f"note: image_dir={tmp_path}: left out, as no image of a class: {names}"
    ]


def test_some_splits_are_enough_to_be_found(tmp_path):
    touch(tmp_path, "test/d/1.png", "train/a/1.png")
    assert named(find_splits(str(tmp_path))) == {
        "train": {"a": ["1.png"]},
        "test": {"d": ["1.png"]},
    }
    touch(tmp_path, "validation/1.png")  # Of no class.
    assert named(find_splits(str(tmp_path)))["validation"] == {}


def test_classes_may_be_called_as_splits_are(tmp_path, capsys):
    touch(tmp_path, "train/1.png", "test/1.png", "tram/1.png", "train/notes.txt")
    assert find_splits(str(tmp_path)) is None
    assert capsys.readouterr().err == ""  # `find` names what is left out.
    assert list(find(str(tmp_path))) == ["test", "train", "tram"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cats/1.png", "dogs/1.png"], "has cats, dogs beside train, which hold splits; "),
        (["val/b/1.png", "validation/c/1.png"], "has val and validation, which both hold the val"),
        (
            ["val/b/1.png", "test/a/1.png", "test/b/1.png"],
            r"has classes in more than one split: a \(test, train\), b \(test, val\); each ",
        ),
        (
            ["train/a/more/1.png", "test/b/notes.txt"],
            "each folder of a class .*, but test/b has no images, train/a/more is a folder",
        ),
    ],
)
def test_splits_of_another_form_are_refused(tmp_path, names, message):
    touch(tmp_path, "train/a/1.png", *names)
    with pytest.raises(InputError, match=f"^image_dir={tmp_path}: {message}"):
        find_splits(str(tmp_path))


def test_splits_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match=f"image_dir={tmp_path}/x: .*No such file or directory"):
        find_splits(str(tmp_path / "x"))
