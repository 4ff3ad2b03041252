"""Tasks as data: episodes, and the protocol by which learners are evaluated."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf


class Episode(NamedTuple):
    """One task: a support set to learn from, and a query set to test what was learned.

    Inputs and targets are tensors, or dicts, lists or tuples of tensors of equal first dimension,
    as the model and the loss take them.

    Attributes:
      support_inputs: [N, ...].
      support_targets: [N, ...], floats for regression, integers below `ways` for classification.
      query_inputs: [M, ...].
      query_targets: [M, ...].
    """

    support_inputs: Any
    support_targets: Any
    query_inputs: Any
    query_targets: Any


Sampler = Callable[[tf.Tensor], Episode]
"""A distribution over tasks: a pure TensorFlow function from a seed [2] (int32) to an episode."""


class Protocol(NamedTuple):
    """How a family is evaluated.

    Attributes:
      shots: support examples (per class, in classification), or trajectories.
      num_tasks: number of different tasks; the confidence interval is over these.
      repeats: support sets drawn for each task, over which its score is averaged first.
      before: how many tasks, the first ones, are also scored before adaptation; all if not given.
    """

    shots: int
    num_tasks: int
    repeats: int
    before: int | None = None

    def scored(self, step: int) -> int:
        """Returns how many tasks are scored after `step` inner steps."""
        if step or self.before is None:
            return self.num_tasks
        return min(self.before, self.num_tasks)


def examples_of(episode: Episode) -> int:
    """Returns how many support and query examples a task has; a number not known counts as 1.

    Args:
      episode: the task, or its specs (`tf.TensorSpec`).
    """
    parts = episode.support_inputs, episode.query_inputs
    return sum(tf.nest.flatten(part)[0].shape[0] or 1 for part in parts)


def is_finite(values: Any) -> bool:
    """Returns whether all numbers in a nested structure of tensors are finite."""
    tensors = [tf.convert_to_tensor(value) for value in tf.nest.flatten(values)]
    return all(
        bool(tf.reduce_all(tf.math.is_finite(tensor)))
        for tensor in tensors
        if tensor.dtype.is_floating
    )
