"""TRPO: a step that lowers a loss while it limits how far the policy changes.

    x ≈ F⁻¹ g                           by conjugate gradients on products with F
    φ ← φ − ρᵏ √(2 δ / xᵀ F x) x        for the first k at which the loss falls and KL ≤ δ

F is the Fisher information, the curvature of the mean KL divergence from the policy that drew the
actions (Schulman et al. 2015, "Trust region policy optimization", appendix C).
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from trainers.update_rule import Tensors


class TrustRegion(NamedTuple):
    """The settings of a step; the defaults are those of rllab, which MAML's code uses.

    Conjugate gradients end early where the residual is small beside the gradient, and rllab's where
    it is small in itself (not checked).

    Attributes:
      radius: δ, the largest mean KL divergence of a step.
      iterations: number of iterations of conjugate gradients.
      damping: what is added to the diagonal of F.
      backtracks: how often a step is shortened before it is given up.
      ratio: ρ, by how much each time.
    """

    radius: float = 0.01
    iterations: int = 10
    damping: float = 1e-5
    backtracks: int = 15
    ratio: float = 0.8


class Step(NamedTuple):
    """The result of a step.

    Attributes:
      values: the new values; the old ones if the step was given up.
      divergence: the mean KL divergence of the step, scalar; 0 if it was given up.
      backtracks: how often the step was shortened (int32); `TrustRegion.backtracks` + 1 if it was
        given up.
    """

    values: Tensors
    divergence: tf.Tensor
    backtracks: tf.Tensor


def trust_region_step(
    region: TrustRegion,
    values: Tensors,
    gradient: Tensors,
    fisher_product: Callable[[Tensors], Tensors],
    evaluate: Callable[[Tensors], tuple[tf.Tensor, tf.Tensor]],
) -> Step:
    """Makes a step from `values`.

    Args:
      region: the settings.
      values: φ, any shapes.
      gradient: g, the loss's gradient there.
      fisher_product: a function from vectors v, shaped like φ, to F v.
      evaluate: a function from values of φ to the loss and the mean KL divergence there, scalars.
    """
    flat = _flat(gradient)

    def product(vector: tf.Tensor) -> tf.Tensor:
        return _flat(fisher_product(_like(values, vector))) + region.damping * vector

    direction = conjugate_gradients(product, flat, region.iterations)
    curvature = tf.reduce_sum(direction * product(direction))
    scale = tf.sqrt(2.0 * region.radius / tf.maximum(curvature, 1e-12))
    loss_before, _ = evaluate(values)
    start = _flat(values)

    def tried(number: tf.Tensor) -> tf.Tensor:
        return start - scale * region.ratio ** tf.cast(number, flat.dtype) * direction

    def too_far(number: tf.Tensor, good: tf.Tensor, divergence: tf.Tensor) -> tf.Tensor:
        del divergence
        return tf.logical_and(~good, number <= region.backtracks)

    def shorten(
        number: tf.Tensor, good: tf.Tensor, divergence: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        del good, divergence
        loss, divergence = evaluate(_like(values, tried(number)))
        good = tf.logical_and(loss < loss_before, divergence <= region.radius)
        return tf.where(good, number, number + 1), good, divergence

    number, good, divergence = tf.while_loop(
        too_far, shorten, (tf.constant(0), tf.constant(False), tf.zeros((), flat.dtype))
    )
    reached = tf.where(good, tried(number), start)
    return Step(_like(values, reached), tf.where(good, divergence, 0.0), number)


def conjugate_gradients(
    product: Callable[[tf.Tensor], tf.Tensor], right: tf.Tensor, iterations: int
) -> tf.Tensor:
    """Solves A x = b for a positive definite A of which only products are known.

    Args:
      product: a function from v to A v, [n].
      right: b, [n].
      iterations: the largest number of products.

    Returns:
      x, [n], exact after n iterations but for rounding.
    """
    size = right.shape[0]

    class Products(tf.linalg.LinearOperator):
        def _shape(self) -> tf.TensorShape:
            return tf.TensorShape([size, size])

        def _shape_tensor(self) -> tf.Tensor:
            return tf.constant([size, size])

        def _matmul(
            self, x: tf.Tensor, adjoint: bool = False, adjoint_arg: bool = False
        ) -> tf.Tensor:
            del adjoint, adjoint_arg
            return product(x[:, 0])[:, tf.newaxis]

    operator = Products(right.dtype, is_self_adjoint=True, is_positive_definite=True)
    return tf.linalg.experimental.conjugate_gradient(
        operator, right, tol=1e-10, max_iter=iterations
    ).x


def _flat(values: Tensors) -> tf.Tensor:
    return tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)


def _like(values: Tensors, flat: tf.Tensor) -> Tensors:
    sizes = [value.shape.num_elements() for value in values]
    parts = tf.split(flat, sizes)
    return [tf.reshape(part, value.shape) for part, value in zip(parts, values, strict=True)]
