"""Gradients within a float16 model, multiplied so that they do not vanish there.

float16 has nothing between 0 and 6·10⁻⁸. A model's outputs and weights stay float32, so only what
lies between them can vanish, and a gradient is multiplied by S where it enters the model, at the
outputs, and divided by S where it leaves, at the weights:

    Jᵀ ȳ  is computed as  (1 / S) Jᵀ (S ȳ)

So every gradient is scaled, that of an inner step as well as the outer one, whoever takes it. A
gradient that is differentiated again has a cotangent u, for which that of ȳ is J u. It is handed
through both multiplications as it is: multiplied by 1 / S at the weights, as the chain rule has it,
it would vanish, and S at the outputs would undo that. All other terms of a second derivative have
the factor S of the gradient that they are made of, or of the outputs, and lose it at the weights.
Third derivatives would be wrong.

S is a power of two, which rounds nothing. Source: Micikevicius et al. 2018, section 3.2, for one
derivative.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from trainers.compiling import log

FIRST = 2.0**10
"""The scale to begin with, and the largest."""

STEADY = 2000
"""Meta-iterations after which a scale that was lowered is doubled."""


WithGradient: TypeAlias = tuple[tf.Tensor, Callable[[tf.Tensor], Any]]


class GradientScale(tf.Module):
    """The scale S of a model, which falls where a gradient overflows.

    Attributes:
      value: S, float32.
      since: the meta-iteration before which it was last changed, int64.
    """

    def __init__(self) -> None:
        """Begins with `FIRST`."""
        super().__init__(name="gradient_scale")
        self.value = tf.Variable(FIRST, trainable=False, name="gradient_scale")
        self.since = tf.Variable(0, dtype=tf.int64, trainable=False, name="gradient_scale_since")

    def lowered(self, iteration: int) -> bool:
        """Halves S after an overflow; returns False where it is 1 and cannot be the cause.

        Args:
          iteration: meta-iterations done.
        """
        value = float(self.value.numpy())
        if value <= 1.0:
            return False
        self._set(value / 2.0, iteration)
        log.info("meta-iteration %d overflows in float16; the scale is halved", iteration + 1)
        return True

    def raised(self, iteration: int, last: int) -> int:
        """Doubles S if it is due, and returns the iteration before which it may be due again.

        Args:
          iteration: meta-iterations done.
          last: where the caller would stop, the most that is returned.
        """
        due = int(self.since.numpy()) + STEADY
        if float(self.value.numpy()) < FIRST and iteration >= due:
            self._set(float(self.value.numpy()) * 2.0, iteration)
            due = iteration + STEADY
        return last if float(self.value.numpy()) >= FIRST else min(last, due)

    def _set(self, value: float, iteration: int) -> None:
        self.value.assign(value)
        self.since.assign(iteration)


def scale_for(model: keras.Model) -> GradientScale | None:
    """Returns a scale if a layer of the model computes in float16."""
    return GradientScale() if "float16" in precisions(model) else None


def precisions(model: keras.Model) -> set[str]:
    """Returns the dtypes in which a model's layers compute."""
    return {layer.compute_dtype for layer in model._flatten_layers()}


def into(scale: GradientScale | None, values: Any) -> Any:
    """Returns what a model is given, nested tensors, whose gradients are divided by S."""
    return _mapped(_into, scale, values)


def out_of(scale: GradientScale | None, values: Any) -> Any:
    """Returns what a model gives, nested tensors, whose gradients are multiplied by S."""
    return _mapped(_out_of, scale, values)


def _mapped(function: Any, scale: GradientScale | None, values: Any) -> Any:
    if scale is None:
        return values
    by = tf.convert_to_tensor(scale.value)
    return tf.nest.map_structure(
        lambda value: (
            function(value, by) if tf.is_tensor(value) and value.dtype.is_floating else value
        ),
        values,
    )


@tf.custom_gradient
def _into(value: tf.Tensor, scale: tf.Tensor) -> WithGradient:
    return tf.identity(value), lambda slope: (_times(slope, 1.0 / scale), None)


@tf.custom_gradient
def _out_of(value: tf.Tensor, scale: tf.Tensor) -> WithGradient:
    return tf.identity(value), lambda slope: (_times(slope, scale), None)


@tf.custom_gradient
def _times(slope: tf.Tensor, factor: tf.Tensor) -> WithGradient:
    return slope * tf.cast(factor, slope.dtype), lambda cotangent: (cotangent, None)
