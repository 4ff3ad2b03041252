"""Finds why an iteration was not finite, by repeating it one stage at a time."""

import tensorflow as tf

from trainers.episodes import Episode, Sampler, is_finite
from trainers.learners.learner import Learner


def explain_divergence(
    learner: Learner, tasks: Sampler, task_seeds: tf.Tensor, iteration: tf.Tensor | int = 0
) -> str:
    """Names the first quantity of an iteration that is not finite.

    Dropout is left out until all else is found to be finite.

    Args:
      learner: as it was before the iteration.
      tasks: what draws an episode by its seed.
      task_seeds: the seeds of the iteration's tasks, [B, 2].
      iteration: meta-iterations done before.
    """
    for variable in learner.meta_variables:
        if not is_finite(variable):
            name = getattr(variable, "path", variable.name)  # A Keras name is not the whole of it.
            return f"the variable {name} is not finite before it"
    for number, seed in enumerate(task_seeds):
        episode = tasks(seed)
        for part, values in episode._asdict().items():
            if not is_finite(values):
                return f"the task's own {part} are not finite (task {number} of the meta-batch)"
        cause = learner.diagnose(episode)
        cause = cause or _of_objective(learner, episode, seed, iteration)
        if cause:
            return f"{cause} (task {number} of the meta-batch)"
    rates = "" if learner.alpha is None else ", or a smaller alpha_init"
    return (
        "the meta-gradient overflows although every loss is finite; try a lower "
        f"meta_learning_rate or clip_norm{rates}"
    )


def _of_objective(
    learner: Learner, episode: Episode, seed: tf.Tensor, iteration: tf.Tensor | int
) -> str | None:
    """Says so if what the outer loop minimises is not finite, where the losses without dropout are.

    Of a learner with an outer loss that is another function than the loss.
    """
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    objective, scores, _ = learner.objective(values, episode, seed, tf.cast(iteration, tf.int64))
    if is_finite(objective):
        return None
    if is_finite(scores["loss"]):
        return f"the outer loss is {float(objective)}, though the query loss is finite"
    return (
        f"the query loss is {float(scores['loss'])} with its dropout, though without it is finite"
    )
