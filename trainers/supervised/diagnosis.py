"""Finds why an iteration was not finite, by repeating it one stage at a time."""

import tensorflow as tf

from trainers.episodes import Sampler, is_finite
from trainers.learners.learner import Learner


def explain_divergence(learner: Learner, tasks: Sampler, task_seeds: tf.Tensor) -> str:
    """Names the first quantity that is not finite, of the tasks that belong to these seeds [B, 2].

    Dropout is left out, so a cause that lies in a dropout mask alone is not found.
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
        if cause:
            return f"{cause} (task {number} of the meta-batch)"
    rates = "" if learner.alpha is None else ", or a smaller alpha_init"
    return (
        "the meta-gradient overflows although every loss is finite; try a lower "
        f"meta_learning_rate or clip_norm{rates}"
    )
