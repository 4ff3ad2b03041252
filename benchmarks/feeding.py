"""Measures what drawing tasks costs a meta-iteration, and the memory that their images take.

    python -m benchmarks.feeding --case=mini_imagenet

This project's system alone, on noise of the size of the largest data in use: Omniglot's training
split, 4,400 classes of 20 images, and all 60,000 images of MiniImagenet. Rounds of training and of
drawing the same tasks alternate, so that other load on the machine affects both. Each process
measures one case, since a process's peak memory never falls. The exit code is 1 if drawing takes
the limit or more.
"""

import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

from benchmarks.harness import cases

# Classes, and images of each.
_HELD = {"omniglot": (4400, 20), "mini_imagenet": (100, 600)}

_CASE = flags.DEFINE_enum("case", "omniglot", list(_HELD), "Case to measure.")
_ROUNDS = flags.DEFINE_integer("rounds", 10, "Rounds to time.", lower_bound=1)
_ITERATIONS = flags.DEFINE_integer("iterations", 5, "Meta-iterations per round.", lower_bound=1)
_LIMIT_PERCENT = flags.DEFINE_float(
    "limit_percent", 5.0, "Share of a meta-iteration from which drawing counts as a failure."
)


def peak_gb() -> float:
    """Returns the most memory that this process has held at once, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def milliseconds(work: Callable[..., object], *arguments: int) -> float:
    """Returns the time of a call, in milliseconds."""
    begin = time.perf_counter()
    work(*arguments)
    return 1e3 * (time.perf_counter() - begin)


def main(argv: list[str]) -> str | None:
    """Measures the case and prints it; returns None, or a sentence for stderr."""
    del argv
    from benchmarks.systems import metasgd_tf
    from metasgd_tf.images.images_by_class import ImagesByClass, empty

    case = cases.CASES[_CASE.value]
    classes, count = _HELD[case.name]
    print(f"{case.name}: {peak_gb():.2f} GB before there are images")
    images = empty([classes * count, case.image_size, case.image_size, case.channels])
    noise = np.random.default_rng(0)
    for start in range(0, len(images), count):
        of_class = images[start : start + count]
        of_class[:] = noise.integers(0, 256, of_class.shape, np.uint8)
    names = tuple(f"class {number}" for number in range(classes))
    train, draw = metasgd_tf.feeding(case, ImagesByClass(images, (count,) * classes, names))
    print(f"  {peak_gb():.2f} GB with {len(images)} of {images.nbytes / 1e9:.2f} GB")
    iterations = _ITERATIONS.value
    train(1)
    draw(0, 1)
    training, drawing = [], []
    for number in range(_ROUNDS.value):
        drawing.append(milliseconds(draw, 1 + number * iterations, iterations) / iterations)
        training.append(milliseconds(train, iterations) / iterations)
    shares = [100 * one / whole for one, whole in zip(drawing, training, strict=True)]
    share = statistics.median(shares)
    print(
        f"  drawing {statistics.median(drawing):.2f} ms of "
        f"{statistics.median(training):.1f} ms a meta-iteration, {share:.2f} % "
        f"({min(shares):.2f} to {max(shares):.2f}); {peak_gb():.2f} GB in the end"
    )
    if share >= _LIMIT_PERCENT.value:
        return f"Drawing took {_LIMIT_PERCENT.value:g} % or more."
    return None


if __name__ == "__main__":
    app.run(main)
