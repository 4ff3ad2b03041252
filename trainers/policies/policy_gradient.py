"""The policy gradient as a loss on examples, so that `trainers.update_rule` serves policies too.

An example is a state, with the action that was taken there and its advantage A as the target. The
loss is a function of the policy's log π(a|s) (Li et al. 2017, Algorithm 2):

    plain   −A log π(a|s)               its gradient is the policy gradient
    dice    −A π(a|s) / ⊥π(a|s)         the same gradient; ⊥ stops gradients, and the ratio is 1

They differ when the gradient is differentiated again, as in the outer loop. The sampled
trajectories depend on θ as well, but the plain loss treats them as given: the derivative of its
gradient lacks the term A ∇log π ∇log πᵀ. So does MAML's published code; "E-MAML" (Al-Shedivat et
al. 2018; Stadie et al. 2018) points this out. The ratio's derivative has the term. It is the DiCE
of Foerster et al. 2018 without the sums over earlier steps, whose variance is large: the "low
variance curvature" of Rothfuss et al. 2019, "ProMP".
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from trainers.policies.trajectories import Trajectories, sizes


def normal(outputs: tf.Tensor) -> tfp.distributions.Distribution:
    """Returns the distribution of actions that a policy's outputs describe.

    Args:
      outputs: means, then log standard deviations, [..., 2 A].
    """
    means, log_stds = tf.split(outputs, 2, axis=-1)
    return tfp.distributions.MultivariateNormalDiag(means, tf.exp(log_stds))


def log_prob(actions: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns log π(a|s) of each example, [...].

    Written out, as are the divergence and the entropy: `normal`'s own take several times as long to
    trace.

    Args:
      actions: [..., A].
      outputs: the policy's, [..., 2 A].
    """
    means, log_stds = tf.split(outputs, 2, axis=-1)
    squares = tf.square((actions - means) * tf.exp(-log_stds))
    return tf.reduce_sum(-0.5 * squares - log_stds - 0.5 * math.log(2 * math.pi), axis=-1)


def examples(trajectories: Trajectories, advantages: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the steps of each task's trajectories as inputs and targets.

    Args:
      trajectories: T tasks × N × H.
      advantages: [T, N, H], 0 for steps that do not count.

    Returns:
      States [T, N H, S], and actions with the advantage as a last entry [T, N H, A + 1].
    """
    targets = tf.concat([trajectories.actions, advantages[..., tf.newaxis]], axis=-1)
    return _in_a_row(trajectories.observations), _in_a_row(targets)


def _in_a_row(values: tf.Tensor) -> tf.Tensor:
    tasks, count, horizon, *rest = sizes(values)
    return tf.reshape(values, [tasks, count * horizon, *rest])


def plain(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns −A log π(a|s) of each example, [N].

    Args:
      targets: actions, then advantages, [N, A + 1].
      outputs: the policy's, [N, 2 A].
    """
    actions, advantages = _parts(targets)
    return -advantages * log_prob(actions, outputs)


def dice(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns −A of each example, [N], times a ratio of 1 that has the gradient of log π(a|s)."""
    actions, advantages = _parts(targets)
    found = log_prob(actions, outputs)
    return -advantages * tf.exp(found - tf.stop_gradient(found))


def relative_to(outputs_before: tf.Tensor, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns −A π(a|s) / π_before(a|s) of each example, [N]: the loss that a TRPO step lowers."""
    actions, advantages = _parts(targets)
    before = tf.stop_gradient(log_prob(actions, outputs_before))
    return -advantages * tf.exp(log_prob(actions, outputs) - before)


def divergence(outputs_before: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns KL(π_before ‖ π) in each state, [N]."""
    means_before, log_stds_before = tf.split(outputs_before, 2, axis=-1)
    means, log_stds = tf.split(outputs, 2, axis=-1)
    wider = log_stds - log_stds_before
    apart = tf.square((means - means_before) * tf.exp(-log_stds))
    return tf.reduce_sum(wider + 0.5 * (tf.exp(-2.0 * wider) + apart - 1.0), axis=-1)


def fisher_information(outputs: tf.Tensor) -> tf.Tensor:
    """Returns the diagonal of π's Fisher information with respect to its outputs, [N, 2 A].

    It is 1 / σ² for a mean and 2 for a log standard deviation; off the diagonal it is 0.
    """
    _, log_stds = tf.split(outputs, 2, axis=-1)
    return tf.concat([tf.exp(-2.0 * log_stds), 2.0 * tf.ones_like(log_stds)], axis=-1)


def entropy(outputs: tf.Tensor) -> tf.Tensor:
    """Returns the entropy of π in each state, [N]."""
    _, log_stds = tf.split(outputs, 2, axis=-1)
    return tf.reduce_sum(log_stds + 0.5 * math.log(2 * math.pi * math.e), axis=-1)


def _parts(targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return targets[..., :-1], targets[..., -1]


def deviation(outputs: tf.Tensor) -> tf.Tensor:
    """Returns the geometric mean of π's standard deviations in each state, [N], without gradient.

    The gradient of log π with respect to the means grows as 1 / σ. With the loss multiplied by σ an
    update moves them equally far whatever σ is, so that rates that suit the first update also suit
    later ones, whose policies explore less.

    Args:
      outputs: the policy's, [N, 2 A].
    """
    _, log_stds = tf.split(outputs, 2, axis=-1)
    return tf.stop_gradient(tf.exp(tf.reduce_mean(log_stds, axis=-1)))


SURROGATES = {"plain": plain, "dice": dice}
"""The inner losses by name."""
