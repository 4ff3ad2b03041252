"""Tasks as data: the episode, and the distribution over tasks that episodes are drawn from."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from matplotlib import figure


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
      shots: support examples (a class, in classification).
      num_tasks: different tasks; the confidence interval is over these.
      repeats: support sets drawn for each task, over which its score is averaged first.
    """

    shots: int
    num_tasks: int
    repeats: int


class TaskFamily(abc.ABC):
    """A distribution over tasks with its three splits, losses and protocol of evaluation.

    A new family is one module of `metasgd_tf.tasks` with a subclass of this; the conformance test
    runs every one.

    Attributes:
      input_shape: shape of one input.
      output_size: number of outputs of a model for these tasks.
      shots: support examples in training (a class, in classification).
      metric: name of the score that tables report, a key of `metrics`.
      metric_mode: whether the `min` or the `max` of that score is the best.
      metrics: by name, functions of (targets, outputs) that give one score an example.
    """

    input_shape: tuple[int, ...]
    output_size: int
    shots: int
    metric: str
    metric_mode: str
    metrics: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]

    @abc.abstractmethod
    def model(self, seed: int) -> keras.Model:
        """Builds the network that the field uses for these tasks, its weights drawn by `seed`."""

    @abc.abstractmethod
    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [N]."""

    @abc.abstractmethod
    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws one task of a split, sized as in training."""

    @abc.abstractmethod
    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the protocols by which `evaluate` judges a run, `num_tasks` if it is given."""

    @abc.abstractmethod
    def evaluation_episode(
        self, seed: tf.Tensor, split: str, protocol: Protocol, task: tf.Tensor, repeat: tf.Tensor
    ) -> Episode:
        """Draws support set `repeat` of task `task`: the same task for every repeat and shots."""

    @abc.abstractmethod
    def picture(self, episode: Episode, before: np.ndarray, after: np.ndarray) -> "figure.Figure":
        """Draws an evaluation task and the outputs for its query set, all as arrays.

        Args:
          episode: what `evaluation_episode` gave.
          before: the outputs before adaptation, [M, ...].
          after: and after it.
        """

    def sampler(self, split: str) -> Sampler:
        """Returns the function from seeds to training-sized episodes of a split."""
        return lambda seed: self.episode(seed, split)
