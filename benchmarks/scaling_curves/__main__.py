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

from absl import app, flags

from benchmarks.scaling_curves.measure import measured
from benchmarks.scaling_curves.points import points
from benchmarks.scaling_curves.results import read, record, rounded
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "File of the results.", required=True)
_FIGURE = flags.DEFINE_string("figure", None, "File to draw them in (.png).")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data directory of TensorFlow Datasets.")


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
