"""A made-up mini-ImageNet of five classes with three images each, in every layout.

Behind it stands a made-up ILSVRC-2012 with six images of each class, of which the CSV files take
the second, the third and the fifth. An image has one colour, by which it can be told from others.
"""

import io
import pathlib
import tarfile

import numpy as np
import tensorflow as tf

from metasgd_tf.images.mini_imagenet.contents import Contents

CLASSES = {
    "train": ("n01532829", "n01558993", "n01704323"),
    "validation": ("n01855672",),
    "test": ("n01930112",),
}
NAMES = ["n01532829", "n01558993", "n01704323", "n01855672", "n01930112"]
CONTENTS = Contents(CLASSES, 3, dict.fromkeys(NAMES, 6))

# Sorted as text they would be 10, 123, 2000, 34094, 4, 9.
ILSVRC_NUMBERS = (4, 9, 10, 123, 2000, 34094)
TAKEN = {"00000002": 9, "00000003": 10, "00000005": 2000}

CSV_FILES = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def colour(label: str, number: int) -> tuple[int, int, int]:
    """Returns the colour of an image of the made-up ILSVRC-2012."""
    return 40 + 45 * NAMES.index(label), 30 * ILSVRC_NUMBERS.index(number), 128


def jpeg(label: str, number: int) -> bytes:
    """Returns an image of the made-up ILSVRC-2012, which are of different sizes."""
    width = 90 + 10 * ILSVRC_NUMBERS.index(number)
    image = np.broadcast_to(np.array(colour(label, number), np.uint8), [60, width, 3])
    return tf.io.encode_jpeg(image, quality=95).numpy()


def images() -> dict[tuple[str, str, str], bytes]:
    """Returns the images of the set, by split, label and name."""
    return {
        (split, label, f"{label}{rank}.jpg"): jpeg(label, number)
        for split, labels in CLASSES.items()
        for label in labels
        for rank, number in TAKEN.items()
    }


def ilsvrc(label: str) -> dict[str, bytes]:
    """Returns the images of a class of the made-up ILSVRC-2012, by name."""
    return {f"{label}_{number}.JPEG": jpeg(label, number) for number in ILSVRC_NUMBERS}


def write_csv(folder: pathlib.Path) -> None:
    """Writes the three CSV files, whose lines end as on Windows in the ones that circulate."""
    for split, file in CSV_FILES.items():
        rows = [f"{name},{label}\r\n" for one, label, name in images() if one == split]
        (folder / file).write_bytes(f"filename,label\r\n{''.join(rows)}".encode())


def write_images(folder: pathlib.Path) -> None:
    """Writes the layout `images/` with the CSV files."""
    (folder / "images").mkdir()
    for (_, _, name), data in images().items():
        (folder / "images" / name).write_bytes(data)
    write_csv(folder)


def write_class_folders(folder: pathlib.Path) -> None:
    """Writes the layout with a folder for each class in `train/`, `val/` and `test/`."""
    for (split, label, name), data in images().items():
        path = folder / FOLDERS[split] / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_ilsvrc_folders(folder: pathlib.Path) -> None:
    """Writes the layout with ILSVRC-2012's folders and the CSV files."""
    for label in NAMES:
        (folder / label).mkdir()
        for name, data in ilsvrc(label).items():
            (folder / label / name).write_bytes(data)
    write_csv(folder)


def write_ilsvrc_tars(folder: pathlib.Path) -> None:
    """Writes the layout with ILSVRC-2012's tar for each class and the CSV files."""
    for label in NAMES:
        (folder / f"{label}.tar").write_bytes(tar(ilsvrc(label)))
    write_csv(folder)


def write_ilsvrc_tar(folder: pathlib.Path) -> None:
    """Writes the layout with ILSVRC-2012's tar of tars and the CSV files."""
    tars = {f"{label}.tar": tar(ilsvrc(label)) for label in NAMES}
    (folder / "ILSVRC2012_img_train.tar").write_bytes(tar(tars))
    write_csv(folder)


def tar(files: dict[str, bytes]) -> bytes:
    """Packs files, the last first: their order in the tar should not matter."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in reversed(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


LAYOUTS = {
    "images": write_images,
    "class_folders": write_class_folders,
    "ilsvrc_folders": write_ilsvrc_folders,
    "ilsvrc_tars": write_ilsvrc_tars,
    "ilsvrc_tar": write_ilsvrc_tar,
}
