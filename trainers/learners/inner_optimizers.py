"""The optimizers of Reptile's inner steps, as functions.

Keras's own keep what they know in variables, which the tasks of a meta-batch would share.
"""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from trainers.update_rule import Tensors

Moments: TypeAlias = tuple[tf.Tensor, ...]
"""What Adam keeps, steps made and the mean squares of each weight's gradient; nothing for SGD."""
BETA = 0.999
EPSILON = 1e-8


def no_moments(inner_optimizer: str, weights: Tensors) -> Moments:
    """Returns what it keeps before the first step."""
    if inner_optimizer == "sgd":
        return ()
    return tf.constant(0.0), *(tf.zeros_like(weight) for weight in weights)


def _sgd(gradient: Tensors, moments: Moments) -> tuple[Tensors, Moments]:
    return gradient, moments


def _adam(gradient: Tensors, moments: Moments) -> tuple[Tensors, Moments]:
    """Returns the direction of Adam without momentum.

    v_t = β v_{t−1} + (1 − β) g_t²,    d_t = √(1 − β^t) g_t / (√v_t + ε)
    """
    taken, before = moments[0] + 1.0, moments[1:]
    squares = [BETA * v + (1 - BETA) * g * g for v, g in zip(before, gradient, strict=True)]
    scale = tf.sqrt(1 - BETA**taken)
    direction = [
        tf.cast(scale, g.dtype) * g / (tf.sqrt(v) + EPSILON)
        for v, g in zip(squares, gradient, strict=True)
    ]
    return direction, (taken, *squares)


INNER_OPTIMIZERS: dict[str, Callable[[Tensors, Moments], tuple[Tensors, Moments]]] = {
    "adam": _adam,
    "sgd": _sgd,
}
"""By name, functions of a gradient and the moments before it: its direction, and those after it."""
