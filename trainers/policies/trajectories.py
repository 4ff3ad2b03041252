"""Trajectories of policies in tasks that are Markov decision processes."""

from typing import NamedTuple

import tensorflow as tf


class Trajectories(NamedTuple):
    """Trajectories, T tasks × N of each × H steps.

    An episode may end before the horizon. From then on `mask` is 0, and nothing else of these steps
    counts.

    Attributes:
      observations: the states in which the actions were taken, [T, N, H, ...].
      actions: as the policy drew them, before an environment clips them, [T, N, H, A].
      rewards: the rewards that followed, [T, N, H]; 0 after the episode's end.
      mask: 1 until the episode's end and 0 after it, [T, N, H].
    """

    observations: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    mask: tf.Tensor

    def returns(self) -> tf.Tensor:
        """Returns the undiscounted sum of each trajectory's rewards, [T, N]."""
        return tf.reduce_sum(self.rewards * self.mask, axis=-1)


def sizes(values: tf.Tensor) -> list[int | tf.Tensor]:
    """Returns the size of each axis: an int if it is known, else a scalar tensor (int32).

    In training all are known; an exported graph takes any number of tasks and trajectories.
    """
    return [
        tf.shape(values)[axis] if size is None else size for axis, size in enumerate(values.shape)
    ]
