"""Advantages: how much better actions turned out than expected.

    V(s_t) = wᵀ φ(s_t, t),  w = argmin Σ (wᵀ φ − R_t)² + λ₂ |w|²       R_t = Σ_k γᵏ r_{t+k}
    δ_t = r_t + γ V(s_{t+1}) − V(s_t),    A_t = Σ_k (γ λ)ᵏ δ_{t+k}

The baseline V is fitted to each task's own trajectories, on features of state and time (Duan et al.
2016, "Benchmarking deep reinforcement learning", on whose code MAML's builds); A is generalised
advantage estimation (Schulman et al. 2016).
"""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.utils import value_ops

from trainers.policies import policy_gradient
from trainers.policies.trajectories import Trajectories, sizes

RIDGE = 1e-5
TIME_UNIT = 100.0
"""The unit of time in steps, so that powers of the time stay near 1."""


def features(observations: tf.Tensor) -> tf.Tensor:
    """Returns φ(s, t) of trajectories: s, s², t, t², t³ and 1, with t in hundreds of steps.

    Args:
      observations: [..., H, S].

    Returns:
      [..., H, 2 S + 4].
    """
    *batch, horizon, _ = sizes(observations)
    time = tf.cast(tf.range(horizon), observations.dtype) / TIME_UNIT
    powers = tf.stack([time, time**2, time**3, tf.ones_like(time)], axis=-1)
    powers = tf.broadcast_to(powers, [*batch, horizon, 4])
    return tf.concat([observations, tf.square(observations), powers], axis=-1)


def baseline(trajectories: Trajectories, discount: float) -> tf.Tensor:
    """Fits the values of states to discounted returns, separately for each task.

    Args:
      trajectories: of T tasks.
      discount: γ.

    Returns:
      V(s_t), [T, N, H]; 0 after an episode's end.
    """
    mask = trajectories.mask
    tasks, count, horizon = sizes(mask)
    phi = features(trajectories.observations) * mask[..., tf.newaxis]
    rows = tf.reshape(phi, [tasks, count * horizon, phi.shape[-1]])
    returns = tf.reshape(discounted_returns(trajectories, discount), [tasks, count * horizon, 1])
    # In float64, since powers of the time are nearly linearly dependent.
    rows, returns = tf.cast(rows, tf.float64), tf.cast(returns, tf.float64)
    weights = tf.linalg.lstsq(rows, returns, l2_regularizer=RIDGE)
    return tf.cast(tf.reshape(rows @ weights, [tasks, count, horizon]), mask.dtype)


def discounted_returns(trajectories: Trajectories, discount: float) -> tf.Tensor:
    """Returns R_t = Σ_k γᵏ r_{t+k} up to the episode's end, [T, N, H]."""
    mask = trajectories.mask
    *batch, horizon = sizes(mask)
    rewards, discounts = (
        tf.reshape(values, [-1, horizon])
        for values in (trajectories.rewards * mask, discount * mask)
    )
    returns = value_ops.discounted_return(rewards, discounts, time_major=False)
    return tf.reshape(returns, [*batch, horizon])


def generalised_advantages(
    trajectories: Trajectories, discount: float, trace: float, *, normalise: bool = True
) -> tf.Tensor:
    """Returns A_t, [T, N, H]; 0 after an episode's end.

    Args:
      trajectories: of T tasks.
      discount: γ.
      trace: λ; with 1 an advantage is the return minus the baseline, with 0 one step's TD error.
      normalise: whether to scale each task's advantages to mean 0 and standard deviation 1, as
        MAML's code does.
    """
    mask = trajectories.mask
    *batch, horizon = sizes(mask)
    rewards, discounts, values = (
        tf.reshape(values, [-1, horizon])
        for values in (
            trajectories.rewards * mask,
            discount * mask,
            baseline(trajectories, discount),
        )
    )
    # The value after the last step is 0; in the published code also at the horizon.
    advantages = value_ops.generalized_advantage_estimation(
        values, tf.zeros_like(values[:, 0]), discounts, rewards, trace, time_major=False
    )
    advantages = tf.reshape(advantages, [*batch, horizon]) * mask
    if not normalise:
        return advantages
    count = tf.reduce_sum(mask, axis=[1, 2], keepdims=True)
    mean = tf.reduce_sum(advantages, axis=[1, 2], keepdims=True) / count
    centred = (advantages - mean) * mask
    variance = tf.reduce_sum(tf.square(centred), axis=[1, 2], keepdims=True) / count
    return centred / (tf.sqrt(variance) + 1e-8)


def reward_size(trajectories: Trajectories) -> tf.Tensor:
    """Returns each task's mean of `|r|` over all N H steps, 0 after an episode's end, [T, 1, 1].

    Advantages do not contain this scale: the baseline removes what all trajectories of a task have
    in common, and normalisation the size of the rest. If rewards are minus the distance to a goal,
    it is the mean distance left.
    """
    sized = tf.abs(trajectories.rewards) * trajectories.mask
    return tf.reduce_mean(sized, axis=[1, 2], keepdims=True)


class Advantages(NamedTuple):
    """How advantages are estimated.

    Attributes:
      discount: γ.
      trace: λ.
      normalise: whether each task's have mean 0 and standard deviation 1.
      times_reward: whether they are then multiplied by `reward_size`.
    """

    discount: float = 0.99
    trace: float = 1.0
    normalise: bool = True
    times_reward: bool = False

    def examples(self, trajectories: Trajectories) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what each task's policy learns from, see `policy_gradient.examples`."""
        advantages = generalised_advantages(
            trajectories, self.discount, self.trace, normalise=self.normalise
        )
        if self.times_reward:
            advantages *= reward_size(trajectories)
        return policy_gradient.examples(trajectories, advantages)
