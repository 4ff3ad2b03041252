"""Tasks as data: the episode, and the sizes by which learners are judged."""

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
    """

    shots: int
    num_tasks: int
    repeats: int
