"""The meta-gradient of one task, which the outer loop of Algorithm 1 averages over tasks."""

import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.learner import Learner
from trainers.seeds import fold_in
from trainers.update_rule import Tensors


def meta_gradient(
    learner: Learner, values: Tensors, episode: Episode, seed: tf.Tensor
) -> tuple[Tensors, dict[str, tf.Tensor], Tensors]:
    """Differentiates one task's query loss after adaptation: ∇_(θ,α) L_test(T)(θ').

    Args:
      learner: what is trained.
      values: of `learner.meta_variables`.
      episode: the task.
      seed: [2], what dropout draws from.

    Returns:
      The gradient by each of `values`; the query set's scores; and the model's state after the
      query set.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        state = learner.adapt(
            episode.support_inputs,
            episode.support_targets,
            values=values,
            training=True,
            seed=fold_in(seed, 0),
        )
        scores, moving = learner.score(
            state,
            episode.query_inputs,
            episode.query_targets,
            training=True,
            seed=fold_in(seed, 1),
        )
    gradient = tape.gradient(scores["loss"], values)
    return [tf.convert_to_tensor(g) for g in gradient], scores, moving
