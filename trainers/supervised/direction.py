"""The learned direction: the angle between α ∘ ∇L and ∇L.

One rate for all weights leaves the gradient's direction as it is: the cosine is 1, or −1 where the
rate is negative. Meta-SGD learns the direction too (Li et al. 2017, section 3.2).
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainers.devices import TASKS_IN_FLIGHT
from trainers.learners.meta_sgd import MetaLearner

WHOLE = "all_layers"


def direction_cosines(
    learner: MetaLearner,
    supports: Callable[[], Any],
    support_of: Callable[[Any], tuple[tf.Tensor, tf.Tensor]] = lambda support: support,
) -> Callable[[], dict[str, float]]:
    """Prepares measuring the learned direction on the support sets of some tasks.

    Args:
      learner: what is measured, as it is when the returned function is called.
      supports: gives the support sets of T tasks, inputs [T, N, ...] and targets [T, N, ...]; or
        what `support_of` takes, such as the numbers of T tasks, [T].
      support_of: gives a task's support set, inputs [N, ...] and targets [N, ...]. Where support
        sets differ in size, this draws them, as they do not go into one tensor.

    Returns:
      A function that gives the mean over the tasks of cos(α ∘ ∇L(θ), ∇L(θ)), by layer and, as
      `all_layers`, over all weights together. Where a gradient is 0 its cosine counts as 0.
    """

    def one_task(one: Any) -> dict[str, tf.Tensor]:
        gradient = learner.support_gradient(*support_of(one))
        update = [rate * g for rate, g in zip(learner.first_rates(), gradient, strict=True)]
        gradients = learner.alpha.by_layer(gradient)
        updates = learner.alpha.by_layer(update)
        pairs = {layer: (updates[layer], gradients[layer]) for layer in gradients}
        whole = [tf.concat(list(rows.values()), axis=0) for rows in (updates, gradients)]
        return {
            name: tf.cast(_cosine(*pair), tf.float32)
            for name, pair in {WHOLE: (whole[0], whole[1]), **pairs}.items()
        }

    names = [WHOLE, *learner.alpha.by_layer(_adapted_weights(learner))]

    @tf.function(autograph=False)  # A few tasks now and then would not repay XLA's compiling.
    def all_tasks() -> dict[str, tf.Tensor]:
        cosines = tf.map_fn(
            one_task,
            supports(),
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature={name: tf.float32 for name in names},
        )
        return {name: tf.reduce_mean(values) for name, values in cosines.items()}

    return lambda: {name: float(value) for name, value in all_tasks().items()}


def _adapted_weights(learner: MetaLearner) -> list[tf.Tensor]:
    return [learner.theta[number].value for number in learner.adapted]


def _cosine(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    norms = tf.norm(one) * tf.norm(other)
    return tf.math.divide_no_nan(tf.reduce_sum(one * other), norms)
