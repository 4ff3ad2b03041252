"""Runs all steps of MiniImagenet on synthetic textures, where its images are not available.

    python -m benchmarks.textures --work_dir=DIR

Writes as many JPEG files as MiniImagenet has, 600 for each of its 64, 16 and 20 classes, and runs
the commands that a user would run on the real images: `train`, which prepares the data set, and
`evaluate` on the 20 test classes, after one iteration and after all. A class is a pair of gratings
in colours of its own, and each of its images shows them shifted, under noise. The numbers say
nothing about ImageNet; they show that what is learned carries over to unseen classes.
"""

import pathlib
import subprocess
import sys

import numpy as np
from absl import app, flags
from PIL import Image

from metasgd_tf.images.mini_imagenet.contents import Contents, complete

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Where everything is written.", required=True)
_ITERATIONS = flags.DEFINE_integer("iterations", 300, "Meta-iterations.", lower_bound=1)

_CONFIG = "configs/mini_imagenet_5way1shot_meta_sgd.flags"
_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_WIDTH, _HEIGHT = 100, 90
_NOISE = 40.0


def texture(label: int, number: int) -> np.ndarray:
    """Returns image `number` of class `label`, [90, 100, 3] (uint8)."""
    of_class = np.random.default_rng([label])
    of_image = np.random.default_rng([label, number])
    rows, columns = np.mgrid[:_HEIGHT, :_WIDTH]
    image = np.full((_HEIGHT, _WIDTH, 3), 128.0)
    for _ in range(2):
        angle, frequency = of_class.uniform(0, np.pi), of_class.uniform(0.1, 0.9)
        colour = of_class.uniform(-60, 60, 3)
        along = np.cos(angle) * columns + np.sin(angle) * rows
        wave = np.sin(frequency * along + of_image.uniform(0, 2 * np.pi))
        image += wave[:, :, np.newaxis] * colour * of_image.uniform(0.5, 1.0)
    image += of_image.normal(0.0, _NOISE, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def write_images(folder: pathlib.Path, contents: Contents) -> None:
    """Writes one folder per class under `train/`, `val/` and `test/`; existing images are kept."""
    for split, names in contents.classes.items():
        for name in names:
            write_class(folder / _FOLDERS[split] / name, contents.names.index(name), contents)


def write_class(directory: pathlib.Path, label: int, contents: Contents) -> None:
    """Writes the images of a class."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(contents.images):
        path = directory / f"{directory.name}{number + 1:08d}.jpg"
        if not path.exists():
            Image.fromarray(texture(label, number)).save(path, quality=90)


def main(argv: list[str]) -> None:
    """Writes the images, trains one iteration and then all of them, and evaluates both."""
    del argv
    work = pathlib.Path(_WORK_DIR.value)
    write_images(work / "images", complete())
    data = (f"--data_dir={work / 'data'}", f"--manual_dir={work / 'images'}")
    for iterations in (1, _ITERATIONS.value):
        run = work / f"after_{iterations}"
        command(
            "metasgd_tf.train", run, f"--flagfile={_CONFIG}", f"--iterations={iterations}", *data
        )
        command("metasgd_tf.evaluate", run)


def command(module: str, run: pathlib.Path, *arguments: str) -> None:
    """Runs a command of the project on a run's directory."""
    subprocess.run([sys.executable, "-m", module, f"--model_dir={run}", *arguments], check=True)


if __name__ == "__main__":
    app.run(main)
