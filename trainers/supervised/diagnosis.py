"""Why an iteration was not finite, found by doing it again one stage at a time."""

import tensorflow as tf

from trainers.episodes import Sampler
from trainers.learners.meta_sgd import MetaLearner
from trainers.update_rule import gradients


def explain_divergence(learner: MetaLearner, tasks: Sampler, task_seeds: tf.Tensor) -> str:
    """Names the first quantity that is not finite, of the tasks that belong to these seeds [B, 2].

    Dropout is left out, so a cause that lies in a dropout mask alone is not found.
    """
    for index, (name, weight) in enumerate(
        zip(learner.pure_model.names, learner.theta, strict=True)
    ):
        if not _finite(weight.value):
            return f"the weight {name} is not finite before it"
        if not _finite(learner.alpha.per_weight(learner.alpha.rates)[index]):
            return f"the learned rate α of {name} is not finite before it"
    for number, seed in enumerate(task_seeds):
        cause = _explain_task(learner, tasks, seed)
        if cause:
            return f"{cause} (task {number} of the meta-batch)"
    return (
        "the meta-gradient overflows although every loss is finite; try a lower "
        "meta_learning_rate, clip_norm, or a smaller alpha_init"
    )


def _explain_task(learner: MetaLearner, tasks: Sampler, seed: tf.Tensor) -> str | None:
    episode = tasks(seed)
    for part, tensor in episode._asdict().items():
        if not _finite(tensor):
            return f"the task's own {part} are not finite"
    support = (episode.support_inputs, episode.support_targets)
    adapted = learner.adapt(*support, steps=0)
    for step in range(learner.inner_steps + 1):
        weights = adapted[: len(learner.theta)]
        where = f"after {step} inner step(s)" if step else "before adaptation"
        scored = (("support", weights, support), ("query", adapted, episode[2:]))
        for part, with_these, examples in scored:
            loss = learner.score(with_these, *examples)[0]["loss"]
            if not _finite(loss):
                advice = "; try a smaller alpha_init or meta_learning_rate" if step else ""
                return f"the {part} loss is {float(loss)} {where}{advice}"
        slope = gradients(lambda w: learner.score(w, *support)[0]["loss"], weights)
        for name, gradient in zip(learner.pure_model.names, slope, strict=True):
            if not _finite(gradient):
                return f"the gradient of the support loss by {name} is not finite {where}"
        adapted = learner.adapt(*support, steps=1, theta=weights)
    return None


def _finite(tensor: tf.Tensor) -> bool:
    tensor = tf.convert_to_tensor(tensor)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))
