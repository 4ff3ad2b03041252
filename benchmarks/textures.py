"""Runs all steps of MiniImagenet on synthetic textures, where its images are not available.

    python -m benchmarks.textures --work_dir=DIR --algorithms=meta_sgd,prototypical_nets

Writes as many JPEG files as MiniImagenet has, 600 for each of its 64, 16 and 20 classes, and runs
the commands that a user would run on the real images: `train`, which prepares the data set, with
each algorithm's flagfile for 5-way 1-shot, and `evaluate` on the 20 test classes, after one
iteration and after all. A class is a pair of gratings in colours of its own, and each of its images
shows them shifted, under noise. The numbers say nothing about ImageNet; they show that what is
learned carries over to unseen classes. DIR/textures.json has them; runs that are done are not done
again.
"""

import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
from absl import app, flags
from PIL import Image

from metasgd_tf.images.mini_imagenet.contents import Contents, complete

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Where everything is written.", required=True)
_ALGORITHMS = flags.DEFINE_list(
    "algorithms", ["meta_sgd"], "Those with a flagfile configs/mini_imagenet_5way1shot_….flags."
)
_ITERATIONS = flags.DEFINE_integer("iterations", 300, "Meta-iterations.", lower_bound=1)
_TASKS = flags.DEFINE_integer("num_tasks", 600, "Test tasks.", lower_bound=2)

_CONFIG = "configs/mini_imagenet_5way1shot_{algorithm}.flags"
_COLUMNS = ("learner", "iterations", "accuracy", "test tasks", "commit")
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
    rows = []
    for algorithm in _ALGORITHMS.value:
        flagfile = f"--flagfile={_CONFIG.format(algorithm=algorithm)}"
        for iterations in (1, _ITERATIONS.value):
            run = work / algorithm / f"after_{iterations}"
            report = run / "evaluation.json"
            if not report.exists():
                # The published rates fall over as many iterations as there are here.
                command("metasgd_tf.train", run, flagfile, f"--iterations={iterations}", *data)
                command("metasgd_tf.evaluate", run, f"--num_tasks={_TASKS.value}")
            rows.append(row(json.loads(report.read_text("utf-8"))))
            text = json.dumps({"columns": _COLUMNS, "rows": rows}, indent=1) + "\n"
            (work / "textures.json").write_text(text, encoding="utf-8")


def row(report: dict[str, Any]) -> list[Any]:
    """Returns what `evaluate` found as a row of the results."""
    *_, found = report["results"]
    accuracy = f"{100 * found['mean']:.1f} ± {100 * found['ci95']:.1f} %"
    return [
        report["algorithm"],
        report["iteration"],
        accuracy,
        found["num_tasks"],
        report["commit"][:7],
    ]


def command(module: str, run: pathlib.Path, *arguments: str) -> None:
    """Runs a command of the project on a run's directory."""
    subprocess.run([sys.executable, "-m", module, f"--model_dir={run}", *arguments], check=True)


if __name__ == "__main__":
    app.run(main)
