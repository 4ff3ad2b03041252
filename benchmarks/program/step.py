"""The meta-gradient of a batch of tasks as one compiled program."""

from collections.abc import Callable

import tensorflow as tf

from trainers.batching import batched_operations
from trainers.batching.as_products import as_products
from trainers.episodes import Episode
from trainers.learners.learner import Learner
from trainers.supervised.meta_gradient import meta_gradient

Step = Callable[[list[tf.Tensor], Episode], list[tf.Tensor]]


def batched(learner: Learner) -> tf.types.experimental.PolymorphicFunction:
    """Returns the `Step` from values and tasks [T, ...] to the mean of the gradients."""

    @tf.function(jit_compile=True, autograph=False)
    def step(values: list[tf.Tensor], tasks: Episode) -> list[tf.Tensor]:
        seed = tf.zeros([2], tf.int32)
        batched_operations.register()
        with as_products():
            gradients = tf.vectorized_map(
                lambda task: meta_gradient(learner, values, task, seed)[0],
                tasks,
                fallback_to_while_loop=False,
            )
        return [tf.reduce_mean(gradient, axis=0) for gradient in gradients]

    return step
