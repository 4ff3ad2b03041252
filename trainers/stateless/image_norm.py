"""Batch normalisation of images with its first and second derivatives written out.

With x̂ = (x − mean) r and r = 1 / √(variance + ε), over the N entries of a channel:

    y  = γ x̂ + β
    dx = γ r P(dy)          P(z) = z − mean(z) − x̂ mean(x̂ z)
    dγ = Σ x̂ dy             dβ = Σ dy

TensorFlow has both lines as one kernel, which is the faster way for large images; for small ones
separate operations are. What TensorFlow puts together for the derivatives of either way takes
longer than what is written out here (Ioffe and Szegedy 2015 have the first derivatives).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from trainers.batching import as_products

LARGE = 2**16
"""Entries from which on a kernel is faster than separate operations, measured on a CPU."""

WithGradient: TypeAlias = tuple[tuple[tf.Tensor, ...], Callable[..., tuple[tf.Tensor | None, ...]]]
"""What `tf.custom_gradient` takes: results, and the function that gives the gradients of inputs."""


def fits(x: tf.Tensor, axis: int) -> bool:
    """Returns whether `image_norm` supports these inputs: float32 images with channels last."""
    return x.dtype == tf.float32 and x.shape.rank == 4 and axis % 4 == 3


def image_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises images by the statistics of their channels.

    It can be differentiated twice by x, γ and β, and not three times.

    Args:
      x: [N, height, width, C], float32.
      gamma: the scale γ, [C].
      beta: the offset β, [C].
      epsilon: what is added to the variance.

    Returns:
      y [N, height, width, C]; and the mean and the variance of each channel [C], which are constant
      to a gradient.
    """
    y, mean, variance = _forward(x, gamma, beta, epsilon)
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


def _forward(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    # A number of images that is not known is taken for a small one. Kernels cannot be batched.
    large = (x.shape.num_elements() or 0) >= LARGE and not as_products.active()
    way = _kernels(epsilon) if large else _operations(epsilon)

    @tf.custom_gradient
    def forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> WithGradient:
        y, mean, variance, kept = way.forward(x, gamma, beta)

        def gradient(dy: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _backward(way, epsilon)(dy, x, gamma, mean, variance, *kept)

        return (y, mean, variance), gradient

    return forward(x, gamma, beta)


def _backward(way: "_Way", epsilon: float) -> Callable[..., tuple[tf.Tensor, ...]]:
    # All that it uses is handed over: a closure could not be differentiated from another graph.
    @tf.custom_gradient
    def backward(
        dy: tf.Tensor,
        x: tf.Tensor,
        gamma: tf.Tensor,
        mean: tf.Tensor,
        variance: tf.Tensor,
        *kept: tf.Tensor,
    ) -> WithGradient:
        r = tf.math.rsqrt(variance + epsilon)
        dx, dgamma, dbeta = way.backward(dy, x, gamma, mean, r, kept)

        def gradient(u: tf.Tensor, p: tf.Tensor, q: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            """Returns the derivatives of Σ u dx + Σ p dγ + Σ q dβ by dy, x and γ."""
            count = _count(x)
            projected, u_normalised, u_sum = way.backward(u, x, gamma, mean, r, kept)
            dy_mean, dy_normalised = dbeta / count, dgamma / count
            u_mean, u_normalised = u_sum / count, u_normalised / count
            common = tf.reduce_mean(u * dy, [0, 1, 2]) - dy_mean * u_mean
            common -= dy_normalised * u_normalised
            # Coefficients of dy, u, x̂ and 1 in the derivative by x.
            of_dy = p * r - gamma * r * r * u_normalised
            of_u = -gamma * r * r * dy_normalised
            of_normalised = -gamma * r * r * common - of_dy * dy_normalised - of_u * u_normalised
            of_one = -of_dy * dy_mean - of_u * u_mean
            centred, shift = way.centred(x, mean, kept)
            by_x = of_dy * dy + of_u * u
            by_x += of_normalised * r * centred + (of_one - of_normalised * r * shift)
            by_dy = projected + (p * r * centred + (q - p * r * shift))
            return by_dy, by_x, count * r * common, *(None for _ in (mean, variance, *kept))

        return (dx, dgamma, dbeta), gradient

    return backward


class _Way(NamedTuple):
    """How the formulas are computed.

    Attributes:
      forward: maps x, γ and β to y, the mean, the variance and what `backward` needs beside them.
      backward: maps dy, x, γ, the mean, r and what was kept to dx, dγ and dβ.
      centred: maps x, the mean and what was kept to c and s, of which c − s is x − mean.
    """

    forward: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]]
    backward: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
    centred: Callable[..., tuple[tf.Tensor, tf.Tensor]]


def _kernels(epsilon: float) -> _Way:
    def forward(
        x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        nothing = tf.zeros([0])
        y, mean, unbiased, *reserved = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing, epsilon=epsilon
        )
        count = _count(x)
        return y, mean, unbiased * (tf.maximum(count - 1.0, 1.0) / count), reserved[:3]

    def backward(
        dy: tf.Tensor,
        x: tf.Tensor,
        gamma: tf.Tensor,
        mean: tf.Tensor,
        r: tf.Tensor,
        kept: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        del mean, r
        names = [f"reserve_space_{number}" for number in (1, 2, 3)]
        spaces = dict(zip(names, kept, strict=True))
        return tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=dy, x=x, scale=gamma, epsilon=epsilon, **spaces
        )[:3]

    return _Way(forward, backward, lambda x, mean, kept: (x, mean))


def _operations(epsilon: float) -> _Way:
    axes = [0, 1, 2]

    def forward(
        x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        mean = tf.reduce_mean(x, axes)
        centred = x - mean
        variance = tf.reduce_mean(tf.square(centred), axes)
        return (
            centred * (gamma * tf.math.rsqrt(variance + epsilon)) + beta,
            mean,
            variance,
            [centred],
        )

    def backward(
        dy: tf.Tensor,
        x: tf.Tensor,
        gamma: tf.Tensor,
        mean: tf.Tensor,
        r: tf.Tensor,
        kept: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        del x, mean
        (centred,) = kept
        count = _count(centred)
        dbeta = tf.reduce_sum(dy, axes)
        dgamma = r * tf.reduce_sum(dy * centred, axes)
        along = gamma * r / count
        return (gamma * r) * dy - ((along * r * dgamma) * centred + along * dbeta), dgamma, dbeta

    return _Way(forward, backward, lambda x, mean, kept: (kept[0], 0.0))


def _count(x: tf.Tensor) -> tf.Tensor:
    """Returns the number of entries of a channel."""
    return tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
