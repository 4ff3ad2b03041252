"""Progress of a training from Python: a progress bar, and curves for TensorBoard."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from trainers.learners.learner import Learner
from trainers.progress import Progress

POINTS = 100
"""Of each curve, at most."""


def interval(iterations: int) -> int:
    """Returns the number of iterations between two points of a curve."""
    return -(-iterations // POINTS)


@contextlib.contextmanager
def curves(
    learner: Learner, directory: str | os.PathLike[str] | None
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Opens an event file for TensorBoard, if a directory is given.

    Args:
      learner: of one with a learned α the rates are written too.
      directory: where the files lie; made where missing.

    Yields:
      A function of meta-iterations done and scores by name, which writes a point of each curve.
    """
    if directory is None:
        yield lambda done, scores: None
        return
    writer = tf.summary.create_file_writer(os.fspath(directory))

    def write(done: int, scores: Mapping[str, float]) -> None:
        scalars = {f"training/{name}": score for name, score in scores.items()}
        histograms: dict[str, np.ndarray] = {}
        if learner.alpha is not None and learner.alpha.learned:
            of_alpha, histograms = learner.alpha.statistics()
            scalars |= of_alpha
        with writer.as_default(done):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            for name, values in histograms.items():
                tf.summary.histogram(name, values)

    try:
        yield write
    finally:
        writer.close()


@contextlib.contextmanager
def bar(shown: bool, done: int, last: int) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Shows the progress of a training on standard error, if `shown`.

    Args:
      shown: whether it is.
      done: meta-iterations done.
      last: the number of the last one.

    Yields:
      A function of meta-iterations done and the latest scores.
    """
    if not shown:
        yield lambda done, scores: None
        return
    progress = Progress("meta-training", done, last)
    try:
        yield progress.update
    finally:
        progress.close()
