"""Measures meta-training against the sizes of what is trained, one size at a time.

    python -m benchmarks.scaling_curves --json=docs/results/scaling_curves.json

Tasks a second and peak memory of Omniglot's network on the real drawings, each point in a process
of its own. Seconds are those in which the process computes; with one core, as by `taskset -c 0`,
they are what a meta-iteration takes on a machine that does nothing else. Points that the file has
already are not measured again. A point that takes too much memory or time is ended, and told so.
"""

import json
import pathlib
import tempfile
from typing import Any

from absl import app, flags

from benchmarks.scaling_curves.measure import Measured, measured
from benchmarks.scaling_curves.points import NAMES, Point, points
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "File of the results.", required=True)
_FIGURE = flags.DEFINE_string("figure", None, "File to draw them in (.png).")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data directory of TensorFlow Datasets.")

HEADS = ("tasks a second", "peak in GB", "of it before the images")


def read(file: pathlib.Path) -> dict[Point, Measured | str]:
    """Returns what came of the points in a file of results; nothing if there is none."""
    if not file.exists():
        return {}
    count = len(NAMES)
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {
        Point(*row[:count]): row[count] if row[-1] is None else Measured(*row[count:])
        for row in rows
    }


def record(found: dict[Point, Measured | str]) -> dict[str, Any]:
    """Returns the table of what came of the points."""
    rows = [
        [*point, *((came, None, None) if isinstance(came, str) else came)]
        for point, came in found.items()
    ]
    return {"columns": [*NAMES.values(), *HEADS], "rows": rows}


def rounded(came: Measured | str) -> Measured | str:
    """Returns numbers as they are published."""
    if isinstance(came, str):
        return came
    speed = float(f"{came.tasks_a_second:.3g}")
    return Measured(speed, round(came.peak_gb, 2), round(came.before_gb, 2))


def write_images(file: pathlib.Path) -> None:
    """Writes the images of all training classes, those without mirror images first."""
    import numpy as np

    from metasgd_tf.tasks import omniglot

    drawings = omniglot.load_drawings(_DATA_DIR.value)
    training = drawings[omniglot.split_characters(0)["train"]]
    turned = omniglot.with_rotations(training)
    np.concatenate([turned, omniglot.with_rotations(training[:, :, :, ::-1])]).tofile(file)


def main(_: list[str]) -> None:
    """Measures what is missing, and draws all."""
    prepare_process()
    from benchmarks.scaling_curves import drawing
    from metasgd_tf.output.atomic_file import replaced
    from metasgd_tf.output.provenance import provenance

    file = pathlib.Path(_JSON.value)
    found = read(file)
    missing = [point for point in points() if point not in found]
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder, "images")
        if missing:
            write_images(images)
        for point in missing:
            found[point] = rounded(measured(point, images))
            print(*point, found[point], flush=True)
            told = {"command": "python -m benchmarks.scaling_curves", **record(found)}
            with replaced(file) as output:
                output.write(json.dumps(told | provenance(), indent=1) + "\n")
    if _FIGURE.value:
        drawing.save(found, _FIGURE.value)


if __name__ == "__main__":
    app.run(main)
