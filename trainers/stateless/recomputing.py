"""Functions whose backward pass computes their insides again in place of keeping them.

`tf.recompute_grad` does this for functions without a gradient in them; with one, as an inner step
has it, its gradient is None.

A compiler sees that the same is computed twice and does it once, by which everything would be kept.
Control dependencies stop TensorFlow's own optimiser and not XLA, XLA's own barrier is an operation
that only compiled programs have, and `tf.stop_gradient` stops neither. So what is computed again
starts from other values: a number is added to each that is 0 where the gradient that has arrived is
a number. No compiler may take it for 0, and nothing can begin before the gradient is there.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def recomputed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function with the same values and the same first derivatives.

    Args:
      function: of nested floating tensors, to nested floating tensors; pure. It may take gradients
        inside. Tensors that it uses and is not given are constants to the derivatives.
    """

    def call(*arguments: Any) -> Any:
        structure: list[Any] = []

        def flat(*given: tf.Tensor) -> list[tf.Tensor]:
            made = function(*tf.nest.pack_sequence_as(arguments, given))
            structure[:] = [made]
            return [tf.convert_to_tensor(value) for value in tf.nest.flatten(made)]

        @tf.custom_gradient
        def forward(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[tf.Tensor]]]:
            def backward(*slopes: tf.Tensor) -> list[tf.Tensor]:
                again = _held_back(given, slopes)
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(again)
                    made = flat(*again)
                return tape.gradient(
                    made, again, output_gradients=list(slopes), unconnected_gradients="zero"
                )

            return flat(*given), backward

        made = forward(*map(tf.convert_to_tensor, tf.nest.flatten(arguments)))
        return tf.nest.pack_sequence_as(structure[0], tf.nest.flatten(made))

    return call


def _held_back(values: Any, slopes: Any) -> list[tf.Tensor]:
    """Returns the values, which nothing knows before the slopes are known."""
    first = tf.add_n([tf.cast(tf.reshape(slope, [-1])[0], tf.float32) for slope in slopes])
    nothing = tf.where(tf.math.is_nan(first), first, 0.0)
    return [value + tf.cast(nothing, value.dtype) for value in values]
