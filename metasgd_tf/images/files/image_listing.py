"""Lists the image files of a folder by class and, if it has folders for splits, by split."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from metasgd_tf.output.listing import listed
from metasgd_tf.output.notes import note
from trainers.errors import InputError
from trainers.seeds import SPLITS

SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""The split that a folder holds, by the folder's name in lower case."""

LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")
"""Files that file managers leave in folders; others of that kind begin with a dot."""

NOTICES = ("readme", "license", "licence", "copying", "changelog", "checksums", "manifest")
"""Names of text files that often have no suffix."""

OTHER_SUFFIXES = frozenset(
    (
        *(".txt", ".md", ".rst", ".log", ".pdf", ".doc", ".docx", ".odt", ".rtf", ".html", ".htm"),
        *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
        *(".xls", ".xlsx", ".ods", ".npy", ".npz", ".pkl", ".mat", ".h5", ".hdf5", ".parquet"),
        *(".py", ".ipynb", ".sh", ".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".db", ".sqlite"),
        *(".md5", ".sha1", ".sha256", ".lnk", ".url", ".mp3", ".wav", ".mp4", ".mov", ".avi"),
    )
)
"""Suffixes of files that are not images; a file with any other suffix may be one."""

Classes = dict[str, list[pathlib.Path]]


class Contents(NamedTuple):
    """The entries of a folder, each list in the order of the names.

    Attributes:
      folders: sub-folders, except hidden ones (names that begin with a dot).
      images: files that, by their names, may be images.
      others: files that, by their names, are not images.
    """

    folders: list[os.DirEntry[str]]
    images: list[os.DirEntry[str]]
    others: list[os.DirEntry[str]]


def contents(folder: str) -> Contents:
    """Lists a folder, not recursively.

    Raises:
      OSError: if it cannot be read.
    """
    held = Contents([], [], [])
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.is_dir():
                # Opening a named pipe would wait for ever. A broken link is a fault to be named.
                no_image = _is_no_image(entry.name) or _is_device(entry)
                (held.others if no_image else held.images).append(entry)
            elif not entry.name.startswith("."):
                held.folders.append(entry)
    return held


def find(image_dir: str, flag: str = "image_dir") -> Classes:
    """Lists the images of each class; classes and images are in the order of their names.

    Each sub-folder is a class. Files that are not images by their names, and files outside the
    sub-folders, are left out and named in a note.

    Args:
      image_dir: the folder with the sub-folders.
      flag: the flag that names it, for error messages.

    Raises:
      InputError: if it cannot be read, has no sub-folders, or one of them has no images or has
        sub-folders.
    """
    with _readable(image_dir, flag):
        top = contents(image_dir)
        classes = {folder.name: contents(folder.path) for folder in top.folders}
    if not classes:
        raise InputError(
            f"{flag}={image_dir}: has no sub-folders; each class's images should lie in one"
        )
    _refuse_no_classes(image_dir, flag, classes)
    note_left_out(image_dir, flag, _left_out(top, classes))
    return {name: _paths(held) for name, held in classes.items()}


def find_splits(image_dir: str) -> dict[str, Classes] | None:
    """Lists the images of each class of each split, if a folder is divided into splits.

    Such a folder has sub-folders train, val or validation, and test, or some of them, each with one
    folder per class. Files that are left out are named in a note, as by `find`.

    Args:
      image_dir: the folder.

    Returns:
      The classes of the splits that are there; None if the folder is not divided, that is, none of
      its sub-folders of these names has sub-folders.

    Raises:
      InputError: if it cannot be read, has other sub-folders too or two for one split, or has a
        class that is in two splits, has no images, or has sub-folders.
    """
    with _readable(image_dir, "image_dir"):
        top = contents(image_dir)
        parts = {
            folder.name: contents(folder.path)
            for folder in top.folders
            if folder.name.lower() in SPLIT_FOLDERS
        }
        if not any(held.folders for held in parts.values()):
            return None
        _refuse_other_folders(image_dir, [folder.name for folder in top.folders])
        by_part = {
            part: {folder.name: contents(folder.path) for folder in held.folders}
            for part, held in parts.items()
        }
    classes = {f"{part}/{name}": held for part in by_part for name, held in by_part[part].items()}
    _refuse_no_classes(image_dir, "image_dir", classes)
    _refuse_shared_classes(image_dir, by_part)
    beside = [entry for held in parts.values() for entry in (*held.images, *held.others)]
    note_left_out(image_dir, "image_dir", [*_left_out(top, classes), *beside])
    found = {
        SPLIT_FOLDERS[part.lower()]: {name: _paths(held) for name, held in by_part[part].items()}
        for part in by_part
    }
    return {split: found[split] for split in SPLITS if split in found}


def note_left_out(folder: str, flag: str, files: Sequence[os.DirEntry[str]]) -> None:
    """Prints a note that names the files that are not read, if there are any."""
    if files:
        names = listed(sorted(os.path.relpath(entry.path, folder) for entry in files))
        note(f"{flag}={folder}: left out, as no image of a class: {names}")


def _is_device(entry: os.DirEntry[str]) -> bool:
    """Returns whether an entry is there and no file, such as a named pipe or a socket."""
    return not entry.is_file() and os.path.exists(entry.path)


def _is_no_image(name: str) -> bool:
    stem, suffix = os.path.splitext(name.lower())
    return (
        name.startswith(".")
        or name.lower() in LEFT_BY_SYSTEMS
        or suffix in OTHER_SUFFIXES
        or (not suffix and stem in NOTICES)
    )


def _left_out(top: Contents, classes: Mapping[str, Contents]) -> list[os.DirEntry[str]]:
    inside = [entry for held in classes.values() for entry in held.others]
    return [*top.images, *top.others, *inside]


def _paths(held: Contents) -> list[pathlib.Path]:
    return [pathlib.Path(entry) for entry in held.images]


@contextlib.contextmanager
def _readable(image_dir: str, flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{flag}={image_dir}: {error.filename} cannot be read ({error.strerror}); name a "
            "folder with one sub-folder of images a class"
        ) from error


def _refuse_no_classes(image_dir: str, flag: str, folders: Mapping[str, Contents]) -> None:
    """Checks that classes have images and no sub-folders."""
    wrong = [
        f"{name} has no images"
        for name, held in folders.items()
        if not held.images and not held.folders
    ]
    wrong += [
        f"{name}/{folder.name} is a folder"
        for name, held in folders.items()
        for folder in held.folders
    ]
    if wrong:
        raise InputError(
            f"{flag}={image_dir}: each folder of a class should have images in it and no folders, "
            f"but {listed(wrong)}"
        )


def _refuse_other_folders(image_dir: str, names: Sequence[str]) -> None:
    """Checks that each folder is one of a split, and no split has two."""
    others = [name for name in names if name.lower() not in SPLIT_FOLDERS]
    if others:
        parts = [name for name in names if name not in others]
        raise InputError(
            f"image_dir={image_dir}: has {listed(others)} beside {listed(parts)}, which "
            "hold splits; there should be no folders but train, val or validation, and test"
        )
    for split in SPLITS:
        same = [name for name in names if SPLIT_FOLDERS[name.lower()] == split]
        if len(same) > 1:
            raise InputError(
                f"image_dir={image_dir}: has {' and '.join(same)}, which both hold the {split} "
                "split; leave one of them in"
            )


def _refuse_shared_classes(image_dir: str, by_part: Mapping[str, Mapping[str, Contents]]) -> None:
    """Checks that no class is in two splits."""
    parts_of: dict[str, list[str]] = {}
    for part, classes in by_part.items():
        for name in classes:
            parts_of.setdefault(name, []).append(part)
    shared = [
        f"{name} ({', '.join(parts)})" for name, parts in sorted(parts_of.items()) if parts[1:]
    ]
    if shared:
        raise InputError(
            f"image_dir={image_dir}: has classes in more than one split: {listed(shared)}; each "
            "should be in one, as a learner is tested on classes that it was not trained on"
        )
