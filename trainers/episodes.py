"""Tasks as data: the episode, and the sizes by which learners are evaluated."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Episode(NamedTuple):
    """One task: examples to learn from, and examples that show what was learned.

    Attributes:
      support_inputs: [N, ...].
      support_targets: [N, ...], floats for regression, integers below `ways` for classification.
      query_inputs: [M, ...].
      query_targets: [M, ...].
    """

    support_inputs: tf.Tensor
    support_targets: tf.Tensor
    query_inputs: tf.Tensor
    query_targets: tf.Tensor


Sampler = Callable[[tf.Tensor], Episode]
"""A distribution over tasks: a pure TensorFlow function from a seed [2] (int32) to an episode."""


class Protocol(NamedTuple):
    """How a family is evaluated.

    Attributes:
      shots: support examples (a class, in classification), or trajectories.
      num_tasks: different tasks; the confidence interval is over these.
      repeats: support sets drawn for each task, over which its score is averaged first.
      before: as many tasks, the first ones, are scored before adaptation too; all if not given.
    """

    shots: int
    num_tasks: int
    repeats: int
    before: int | None = None

    def scored(self, step: int) -> int:
        """Returns how many tasks are scored after that many inner steps."""
        if step or self.before is None:
            return self.num_tasks
        return min(self.before, self.num_tasks)
