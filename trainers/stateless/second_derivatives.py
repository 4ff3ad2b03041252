"""Second derivatives that TensorFlow leaves out or lacks, supplied while a model is called.

    | function          | what TensorFlow does                            | instead                |
    |-------------------|-------------------------------------------------|------------------------|
    | `tf.nn.moments`   | takes the mean in the variance for a constant   | the sums without that  |
    | `tf.image.resize` | bilinear: takes its second derivative for 0;    | a linear map and its   |
    |                   | nearest and bicubic: raises an error            | transpose, by `linear` |
    | `tf.nn.softsign`  | raises an error                                 | x / (1 + |x|)          |

A mean that is taken for a constant does not change a gradient, as Σ (x − mean) = 0, but it changes
what that gradient is differentiated to. Keras looks these functions up by name at each call, so
replacing the names reaches every layer.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import tensorflow as tf

Linear: TypeAlias = Callable[[tf.Tensor], tf.Tensor]


@contextlib.contextmanager
def exact_second_derivatives() -> Iterator[None]:
    """Replaces the functions above in the `tf` module until the context ends."""
    replaced = [
        (tf.nn, "moments", _moments),
        (tf.nn, "softsign", _softsign),
        (tf.image, "resize", _resizing(tf.image.resize)),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    try:
        for module, name, function in replaced:
            setattr(module, name, function)
        yield
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def linear(function: Linear, x: tf.Tensor) -> tf.Tensor:
    """Applies a linear function so that it can be differentiated any number of times.

    The gradient of y = A x is x̄ = Aᵀ ȳ, which is linear too, with the gradient A of its own. So
    the function and its transpose are each the other's gradient.

    Args:
      function: linear, and differentiable once; maps [N, ...] to [N, ...].
      x: [N, ...], its other sizes known.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> tuple[tf.Tensor, Linear]:
        return function(x), backward

    @tf.custom_gradient
    def backward(y: tf.Tensor) -> tuple[tf.Tensor, Linear]:
        # Where the function is differentiated does not matter; nothing is caught from outside, as
        # a gradient may be taken in another graph.
        at = tf.zeros([tf.shape(y)[0], *x.shape[1:]], x.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            value = function(at)
        return tape.gradient(value, at, output_gradients=y), forward

    return forward(x)


def _resizing(resize: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    def exact(images: Any, size: Any, *args: Any, **options: Any) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        known = images.shape.rank == 4 and None not in images.shape[1:]
        if not (images.dtype.is_floating and known):
            return resize(images, size, *args, **options)
        return linear(lambda x: resize(x, size, *args, **options), images)

    return exact


def _moments(
    x: tf.Tensor,
    axes: Any,
    shift: Any = None,
    keepdims: bool = False,
    name: str | None = None,
    **_: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    del shift, name
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=True)
    return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))


def _softsign(features: tf.Tensor, name: str | None = None) -> tf.Tensor:
    del name
    return features / (1 + tf.abs(features))
