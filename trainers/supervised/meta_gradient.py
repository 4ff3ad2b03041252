"""The meta-gradient of one task, which the outer loop of Algorithm 1 averages over tasks."""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.learner import Learner
from trainers.update_rule import Tensors, dense

Gradient: TypeAlias = tuple[Tensors, dict[str, tf.Tensor], Tensors]


def meta_gradient(
    learner: Learner,
    values: Tensors,
    episode: Episode,
    seed: tf.Tensor,
    iteration: tf.Tensor | int = 0,
) -> Gradient:
    """Differentiates one task's objective; for Meta-SGD this is ∇_(θ,α) L_test(T)(θ').

    Args:
      learner: what is trained.
      values: of `learner.meta_variables`.
      episode: the task.
      seed: [2], what dropout draws from.
      iteration: meta-iterations done before, for learners whose objective changes with it.

    Returns:
      The gradient by each of `values`; the scores; and the model's new state.

    Raises:
      InputError: if the objective does not depend on one of the variables, which the message names.
    """
    count = tf.cast(iteration, tf.int64)
    return _differentiated(learner, values, lambda: learner.objective(values, episode, seed, count))


def mean_meta_gradient(
    learner: Learner, values: Tensors, episodes: Episode, seeds: tf.Tensor, iteration: tf.Tensor
) -> Gradient:
    """Returns the means of `meta_gradient` over tasks that a learner takes as one batch.

    Args:
      learner: one that `batches_tasks`.
      values: of `learner.meta_variables`.
      episodes: B tasks, [B, N, ...].
      seeds: [B, 2].
      iteration: meta-iterations done before.
    """
    count = tf.cast(iteration, tf.int64)
    return _differentiated(
        learner, values, lambda: learner.mean_objective(values, episodes, seeds, count)
    )


def _differentiated(
    learner: Learner,
    values: Tensors,
    objective: Callable[[], tuple[tf.Tensor, dict[str, tf.Tensor], Tensors]],
) -> Gradient:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        value, scores, moving = objective()
    gradient = tape.gradient(value, values)
    names = [variable.path for variable in learner.meta_variables]
    return dense(gradient, names), scores, moving
