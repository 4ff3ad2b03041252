"""Loads a learner, or where it comes from, from a checkpoint."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.learner import Learner

AVERAGES = "averages"
"""What a checkpoint calls the moving averages."""

KINDS = {"last": "checkpoints", "best": "best"}
"""The kinds of checkpoint, and their folder in a run's directory."""


class Origin(NamedTuple):
    """Where a learner comes from.

    Attributes:
      iteration: the meta-iteration after which it was saved.
      seconds: how long the training had taken by then, over all its parts.
    """

    iteration: int
    seconds: float


def restore_learner(learner: Learner, path: str) -> Origin:
    """Sets θ and α, and the model's other variables, to those of a checkpoint.

    Of θ and α these are the moving averages, where the training has them.

    Args:
      learner: made with the same model and kind of α as the one that was saved.
      path: what `newest_whole` gives.

    Raises:
      InputError: if it lacks a variable of the learner.
      ValueError: if one has another shape.
    """
    _restore(path, learner=learner)
    if any(name.startswith(f"{AVERAGES}/") for name, _ in tf.train.list_variables(path)):
        averages = [tf.Variable(variable) for variable in learner.meta_variables]
        _restore(path, **{AVERAGES: averages})
        for variable, average in zip(learner.meta_variables, averages, strict=True):
            variable.assign(average)
    return origin(path)


def origin(path: str) -> Origin:
    """Returns where the learner of a checkpoint comes from, without the learner.

    Args:
      path: what `newest_whole` gives.
    """
    iteration = tf.Variable(0, dtype=tf.int64, trainable=False)
    seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    _restore(path, iteration=iteration, seconds=seconds)
    return Origin(int(iteration.numpy()), float(seconds.numpy()))


def _restore(path: str, **kept: tf.Module | tf.Variable | list[tf.Variable]) -> None:
    checkpoint = tf.train.Checkpoint(**kept)
    with refusing_other_variables(path):
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()


@contextlib.contextmanager
def refusing_other_variables(path: str) -> Iterator[None]:
    """Has TensorFlow's assertion, which lists the variables' values, be one sentence."""
    try:
        yield
    except AssertionError as error:
        raise InputError(
            f"{path}: holds other variables than this learner has; it was saved with another "
            "network or by another version; use that one"
        ) from error
