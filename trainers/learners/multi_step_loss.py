"""The multi-step loss of MAML++: the query losses after all inner steps, annealed to the last one.

Source: Antoniou, Edwards and Storkey 2019, section 4, and their published code, which counts epochs
where this counts meta-iterations.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainers.update_rule import Tensors

LEAST = 0.03
"""Of the first weights, the share that the weight of a step's loss does not fall below."""


def loss_weights(steps: int, iteration: tf.Tensor, annealing: int) -> tf.Tensor:
    """Returns the weights w of the query losses after each step, [steps], float32; their sum is 1.

    With N steps and E iterations of annealing, at iteration e < E those of all steps but the last
    are max(1/N − e/(N E), 0.03/N), and the last has the rest. From E on it has all.

    Args:
      steps: N.
      iteration: e, meta-iterations done before, a scalar.
      annealing: E, at least 1.
    """
    progress = tf.cast(iteration, tf.float32) / annealing
    early = tf.where(progress < 1.0, tf.maximum(1.0 - progress, LEAST) / steps, 0.0)
    return tf.concat([tf.repeat(early, steps - 1), [1.0 - (steps - 1) * early]], axis=0)


def if_true(
    condition: tf.Tensor, function: Callable[[Any], tf.Tensor], at: list[Tensors]
) -> tf.Tensor:
    """Returns a scalar function's value where a condition holds, and 0 without calling it else.

    It can be differentiated once. Its derivative is taken within the branch, as that of a branch is
    more than `tf.vectorized_map` can take.

    Args:
      condition: scalar, bool.
      function: of the weights.
      at: the weights.
    """
    flat = tf.nest.flatten(at)

    def differentiated() -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(flat)
            value = function(at)
        slopes = tape.gradient(value, flat, unconnected_gradients="zero")
        return [value, *map(tf.convert_to_tensor, slopes)]  # An embedding's are no tensor.

    def nothing() -> list[tf.Tensor]:
        return [tf.zeros((), flat[0].dtype), *map(tf.zeros_like, flat)]

    value, *slopes = map(tf.stop_gradient, tf.cond(condition, differentiated, nothing))
    # Sums of 0 whose derivatives are the slopes.
    return value + tf.add_n(
        [tf.reduce_sum(s * (w - tf.stop_gradient(w))) for s, w in zip(slopes, flat, strict=True)]
    )
