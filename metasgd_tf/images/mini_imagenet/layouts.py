"""The folder layouts in which mini-ImageNet is stored, and what is missing from a folder.

1. `images/` with all images, beside Ravi and Larochelle's `train.csv`, `val.csv` and `test.csv`,
   whose lines are `filename,label`.
2. `train/`, `val/` (or `validation/`) and `test/`, each with a folder for each class.
3. ILSVRC-2012's training set beside the three CSV files: a folder of `n01532829_34094.JPEG` and
   the like for each class, or a tar for each, or the tar of those tars,
   `ILSVRC2012_img_train.tar`. Folders and tars may lie in a folder `train/` or `images/`.

In the third, `n0153282900000005.jpg` in a CSV file is taken to be the 5th image of n01532829 in
the order of the file numbers, counted from 1. The authors of the CSV files do not say so. That
ranks start from 1 can be seen in the files: of eight classes looked at, six begin with rank 1 and
none with 0, and where ILSVRC-2012 has 969 images of a class, or 1,025, or 1,207, the last ranks are
966, 1,023 and 1,205. Public scripts that make mini-ImageNet order by number rather than by name
(mini-imagenet-tools by yaoyao-liu, FewShotLearning by gitabcworld, CloserLookFewShot by
wyharveychen, mmfewshot by open-mmlab; all count from 1). The order decides which 600 images of a
class are used. So does a missing image, which shifts the ranks after it; therefore the images of
each class are counted.
"""

import csv
import dataclasses
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from metasgd_tf.images.mini_imagenet.contents import Contents
from metasgd_tf.images.mini_imagenet.files import IlsvrcTraining, Stored, class_folders, images_in
from metasgd_tf.output.listing import listed
from trainers.errors import InputError

CSV_FILES = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
FOLDERS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
HEADER = ["filename", "label"]
RANK = re.compile(r"(n\d{8})(\d{8})\.\w+")

MISSING_CLASSES = "classes without an image"
OTHER_COUNTS = "classes that have not the right number of images"
MISSING_FILES = "names in the CSV files without a file"
INCOMPLETE_ILSVRC = "classes of which ILSVRC-2012 has another number of images, so that ranks shift"


@dataclasses.dataclass(frozen=True)
class ImageEntry:
    """An image of the set.

    Attributes:
      label: the WordNet id of its class.
      name: its name in the CSV files or in the class's folder.
      stored: where its bytes are.
    """

    label: str
    name: str
    stored: Stored


@dataclasses.dataclass
class Found:
    """The part of the data set that a folder has.

    Attributes:
      images: the images of each split.
      lacking: what is missing or wrong, by kind of problem.
    """

    images: dict[str, list[ImageEntry]]
    lacking: dict[str, list[str]]


def find(manual_dir: pathlib.Path, contents: Contents) -> Found:
    """Finds out which layout a folder has, and what is in it. No image is opened.

    Args:
      manual_dir: the folder; if it has a sub-folder `mini_imagenet`, that one is used instead.
      contents: what a complete set contains.

    Raises:
      InputError: if the folder has none of the layouts, or has other classes or a damaged file.
    """
    inner = manual_dir / "mini_imagenet"
    folder = inner if inner.is_dir() else manual_dir
    roots = _split_folders(folder)
    if all(class_folders(root) for root in roots.values()):
        return _count(_from_folders(roots, contents), {}, contents)
    if all((folder / name).is_file() for name in CSV_FILES.values()):
        tables = {
            split: _read_csv(folder / name, split, contents) for split, name in CSV_FILES.items()
        }
        for place in (folder, folder / "train", folder / "images"):
            ilsvrc = IlsvrcTraining(place)
            if ilsvrc.classes:
                return _from_ilsvrc(ilsvrc, tables, contents)
        if (folder / "images").is_dir():
            images = images_in(folder / "images")
            return _from_lines(tables, lambda name, _: images.get(name), contents)
    holds = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise InputError(
        f"manual_dir={folder}: should hold either images/ with train.csv, val.csv and test.csv, or "
        "train/, val/ and test/ with a folder for each class, or ILSVRC-2012's training set (a "
        "folder or a tar for each class, or ILSVRC2012_img_train.tar) with the three CSV files; it "
        f"holds {listed(holds) or 'nothing'}"
    )


def complaint(lacking: Mapping[str, list[str]]) -> str:
    """Returns a clause of bounded length that says what is missing."""
    return "; ".join(f"{kind} ({len(items):,}): {listed(items)}" for kind, items in lacking.items())


def _split_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {
        split: next(
            (folder / name for name in names if (folder / name).is_dir()), folder / names[0]
        )
        for split, names in FOLDERS.items()
    }


def _from_folders(
    roots: Mapping[str, pathlib.Path], contents: Contents
) -> dict[str, list[ImageEntry]]:
    images = {}
    for split, root in roots.items():
        folders = class_folders(root)
        _refuse_other_classes(root, folders, split, contents)
        images[split] = [
            ImageEntry(label, name, stored)
            for label, folder in folders.items()
            for name, stored in images_in(folder).items()
        ]
    return images


def _from_lines(
    tables: Mapping[str, list[tuple[str, str]]],
    look_up: Callable[[str, str], Stored | None],
    contents: Contents,
) -> Found:
    """Looks up each name and label that a split's CSV file lists."""
    images: dict[str, list[ImageEntry]] = {split: [] for split in tables}
    missing = []
    for split, lines in tables.items():
        for name, label in lines:
            if stored := look_up(name, label):
                images[split].append(ImageEntry(label, name, stored))
            else:
                missing.append(f"{CSV_FILES[split]} {name}")
    return _count(images, {MISSING_FILES: missing}, contents)


def _from_ilsvrc(
    ilsvrc: IlsvrcTraining, tables: Mapping[str, list[tuple[str, str]]], contents: Contents
) -> Found:
    numbered = {label: ilsvrc.numbered(label) for label in contents.names}

    def look_up(name: str, label: str) -> Stored | None:
        match = RANK.fullmatch(name)
        rank = int(match[2]) if match and match[1] == label else 0
        return numbered[label][rank - 1] if 1 <= rank <= len(numbered[label]) else None

    found = _from_lines(tables, look_up, contents)
    others = [
        f"{label} ({len(stored):,} instead of {contents.ilsvrc_files[label]:,})"
        for label, stored in numbered.items()
        if len(stored) not in (0, contents.ilsvrc_files[label])
    ]
    return Found(found.images, _only_filled({**found.lacking, INCOMPLETE_ILSVRC: others}))


def _count(
    images: dict[str, list[ImageEntry]], lacking: Mapping[str, list[str]], contents: Contents
) -> Found:
    """Adds the classes that have too few or too many images to what is lacking."""
    counts = Counter(image.label for split in images.values() for image in split)
    others = [
        f"{name} ({counts[name]:,} instead of {contents.images:,})"
        for name in contents.names
        if counts[name] not in (0, contents.images)
    ]
    missing = [name for name in contents.names if not counts[name]]
    return Found(images, _only_filled({MISSING_CLASSES: missing, OTHER_COUNTS: others, **lacking}))


def _only_filled(lacking: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {kind: items for kind, items in lacking.items() if items}


def _read_csv(path: pathlib.Path, split: str, contents: Contents) -> list[tuple[str, str]]:
    """Returns the names and labels that a CSV file lists, each name once."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"manual_dir: holds {path}, which cannot be read as CSV ({error}); get it anew"
        ) from error
    for number, row in enumerate(rows or [[]]):
        if len(row) != 2 or (number == 0 and row != HEADER):
            raise InputError(
                f"manual_dir: holds {path}, whose row {number + 1} is {','.join(row)!r}; it should "
                "have the header filename,label and rows like n0153282900000005.jpg,n01532829"
            )
    lines = {name.strip(): label.strip() for name, label in rows[1:]}
    _refuse_other_classes(path, lines.values(), split, contents)
    return list(lines.items())


def _refuse_other_classes(
    path: pathlib.Path, labels: Iterable[str], split: str, contents: Contents
) -> None:
    others = sorted(set(labels) - set(contents.classes[split]))
    if others:
        raise InputError(
            f"manual_dir: holds {path}, whose classes {listed(others)} are not among the "
            f"{len(contents.classes[split])} that Ravi and Larochelle chose for {split}; the "
            "split known as Vinyals's has other classes: take the files of "
            "github.com/twitter-research/meta-learning-lstm"
        )
