"""Batch normalisation of pictures in one operation each way, with its second derivatives.

With x̂ = (x − mean) r and r = 1 / √(variance + ε), over the N entries of a channel:

    y  = γ x̂ + β
    dx = γ r P(dy)          P(z) = z − mean(z) − x̂ mean(x̂ z)
    dγ = Σ x̂ dy             dβ = Σ dy

TensorFlow has both lines as one kernel. What it puts together for the derivatives of the second
takes longer than what is written out here (Ioffe and Szegedy 2015 have the first derivatives).
"""

import tensorflow as tf

LARGE = 2**16
"""Entries from which on the kernels are faster than separate operations, measured on a CPU."""


def pays(x: tf.Tensor, axis: int) -> bool:
    """Tells whether `fused_norm` is the faster way for these inputs.

    It is for float32 pictures with channels last that are known to be large.
    """
    pictures = x.dtype == tf.float32 and x.shape.rank == 4 and axis % 4 == 3
    return pictures and (x.shape.num_elements() or 0) >= LARGE


def fused_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises pictures by the statistics of their channels.

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


def _forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float):
    @tf.custom_gradient
    def forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor):
        nothing = tf.zeros([0])
        y, mean, unbiased, *reserved = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing, epsilon=epsilon
        )
        count = _count(x)
        variance = unbiased * (tf.maximum(count - 1.0, 1.0) / count)

        def gradient(dy: tf.Tensor, *_):
            return _backward(epsilon)(dy, x, gamma, mean, variance, *reserved[:3])

        return (y, mean, variance), gradient

    return forward(x, gamma, beta)


def _backward(epsilon: float):
    # All that it uses is handed over: a closure could not be differentiated from another graph.
    @tf.custom_gradient
    def backward(dy, x, gamma, mean, variance, *reserved):
        dx, dgamma, dbeta = _kernel(dy, x, gamma, reserved, epsilon)

        def gradient(u: tf.Tensor, p: tf.Tensor, q: tf.Tensor):
            """Returns the derivatives of Σ u dx + Σ p dγ + Σ q dβ by dy, x and γ."""
            count = _count(x)
            r = tf.math.rsqrt(variance + epsilon)
            projected, u_normalised, u_sum = _kernel(u, x, gamma, reserved, epsilon)
            dy_mean, dy_normalised = dbeta / count, dgamma / count
            u_mean, u_normalised = u_sum / count, u_normalised / count
            common = tf.reduce_mean(u * dy, [0, 1, 2]) - dy_mean * u_mean
            common -= dy_normalised * u_normalised
            # Coefficients of dy, u, x̂ and 1 in the derivative by x.
            of_dy = p * r - gamma * r * r * u_normalised
            of_u = -gamma * r * r * dy_normalised
            of_normalised = -gamma * r * r * common - of_dy * dy_normalised - of_u * u_normalised
            of_one = -of_dy * dy_mean - of_u * u_mean - of_normalised * r * mean
            by_x = of_dy * dy + of_u * u + (of_normalised * r * x + of_one)
            by_dy = projected + ((p * r) * x + (q - p * r * mean))
            return by_dy, by_x, count * r * common, *(None for _ in (mean, variance, *reserved))

        return (dx, dgamma, dbeta), gradient

    return backward


def _kernel(dy, x, gamma, reserved, epsilon: float):
    """Returns dx, dγ and dβ."""
    names = [f"reserve_space_{number}" for number in (1, 2, 3)]
    spaces = dict(zip(names, reserved, strict=True))
    return tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dy, x=x, scale=gamma, epsilon=epsilon, **spaces
    )[:3]


def _count(x: tf.Tensor) -> tf.Tensor:
    """Returns the number of entries of a channel."""
    return tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
