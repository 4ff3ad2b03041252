"""The meta-gradient of one task, which the outer loop of Algorithm 1 averages over tasks."""

import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.learner import Learner
from trainers.update_rule import Tensors


def meta_gradient(
    learner: Learner,
    values: Tensors,
    episode: Episode,
    seed: tf.Tensor,
    iteration: tf.Tensor | int = 0,
) -> tuple[Tensors, dict[str, tf.Tensor], Tensors]:
    """Differentiates one task's objective; for Meta-SGD this is ∇_(θ,α) L_test(T)(θ').

    Args:
      learner: what is trained.
      values: of `learner.meta_variables`.
      episode: the task.
      seed: [2], what dropout draws from.
      iteration: meta-iterations done before, for learners whose objective changes with it.

    Returns:
      The gradient by each of `values`; the scores; and the model's new state.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        objective, scores, moving = learner.objective(
            values, episode, seed, tf.cast(iteration, tf.int64)
        )
    gradient = tape.gradient(objective, values)
    return [tf.convert_to_tensor(g) for g in gradient], scores, moving
