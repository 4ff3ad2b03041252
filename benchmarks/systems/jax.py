"""JAX: the whole meta-iteration is compiled, including the drawing of episodes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.harness import cases
from benchmarks.systems import resnet12

Weights = list[jax.Array]
Episodes = tuple[jax.Array, jax.Array, jax.Array, jax.Array]

# Iterations of the sinusoid that one turn of the compiled loop holds. On two cores: 1 took
# 74-95 us an iteration, 4 took 65-90 us, 8 and 16 more.
UNROLL = 4


def _predict_curve(weights: Weights, x: jax.Array) -> jax.Array:
    for w, b in zip(weights[0:4:2], weights[1:4:2], strict=True):
        x = jax.nn.relu(x @ w + b)
    return x @ weights[4] + weights[5]


def _convolve(x: jax.Array, filters: jax.Array, stride: int) -> jax.Array:
    # Patches times a matrix. On the CPU XLA's own convolution was slower in every form (two cores,
    # Omniglot: 345 ms unrolled over tasks after 54 s of compilation, 1.3 s as a loop, 4.6 s under
    # vmap, where each task has filters of its own), against 210 ms and 8 s in this way.
    count, size = x.shape[:2]
    out = -(-size // stride)
    span = stride * (out - 1) + 1
    # As Keras pads: where a stride leaves one row too many, it is the last one.
    padded = max(span + 2 - size, 0)
    around = (padded // 2, padded - padded // 2)
    x = jnp.pad(x, ((0, 0), around, around, (0, 0)))
    corners = [(row, column) for row in range(3) for column in range(3)]
    shifted = [x[:, r : r + span : stride, c : c + span : stride] for r, c in corners]
    patches = jnp.concatenate(shifted, axis=-1).reshape(count * out * out, -1)
    return (patches @ filters.reshape(-1, filters.shape[-1])).reshape(count, out, out, -1)


def _predict_class(weights: Weights, x: jax.Array, pooling: str) -> jax.Array:
    for layer in range(cases.CONV_LAYERS):
        filters, scale, offset = weights[3 * layer : 3 * layer + 3]
        x = _convolve(x, filters, stride=2 if pooling == "stride" else 1)
        x = jax.nn.relu(_normalise(x, scale, offset))
        if pooling == "max":
            x = _pool(x)
    return x.reshape(len(x), -1) @ weights[-2] + weights[-1]


def _normalise(x: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * lax.rsqrt(variance + cases.BATCH_NORM_EPSILON) * scale + offset


def _pool(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


_RESNET12 = resnet12.Operations(
    convolve=lambda x, filters: (
        x @ filters[0, 0] if len(filters) == 1 else _convolve(x, filters, 1)
    ),
    normalise=_normalise,
    leaky_relu=lambda x: jax.nn.leaky_relu(x, 0.1),
    pool=_pool,
    mean=lambda x: x.mean((1, 2)),
)


def task_loss(case: cases.Case, weights: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the loss of one task, a float32 scalar.

    Args:
      case: The case.
      weights: The network's weights, as `cases.initial_weights` orders them.
      x: float32 `[points, 1]` or `[images, height, width, channels]`.
      y: float32 `[points, 1]` or int32 labels `[images]`.
    """
    if case.kind == "regression":
        return jnp.mean((_predict_curve(weights, x) - y) ** 2)
    if case.name == "resnet12":
        logits = resnet12.logits(weights, x, _RESNET12)
    else:
        logits = _predict_class(weights, x, case.pooling)
    scores = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(scores, y[:, None], axis=1).mean()


def meta_loss(case: cases.Case, trained: tuple[Weights, Weights], episodes: Episodes) -> jax.Array:
    """Returns the mean query loss after one step of Meta-SGD on each task's support set.

    Args:
      case: The case.
      trained: theta and alpha, lists of float32 arrays of equal shapes.
      episodes: Support x and y, query x and y, each with a leading axis of `case.tasks`.
    """
    theta, alpha = trained
    loss = functools.partial(task_loss, case)

    def query_loss(support_x, support_y, query_x, query_y):
        gradients = jax.grad(loss)(theta, support_x, support_y)
        fast = [w - a * g for w, a, g in zip(theta, alpha, gradients, strict=True)]
        return loss(fast, query_x, query_y)

    if case.kind == "regression":
        return jax.vmap(query_loss)(*episodes).mean()
    # Measured on the CPU: `vmap` over the tasks of Omniglot took a tenth longer than this loop.
    return lax.map(lambda task: query_loss(*task), episodes).mean()


def draw_curves(case: cases.Case, key: jax.Array) -> Episodes:
    """Draws `case.tasks` sine curves and their points, float32 `[tasks, points, 1]` each."""
    keys = jax.random.split(key, 4)

    def uniform(index: int, bounds: tuple[float, float], points: int) -> jax.Array:
        shape = (case.tasks, points, 1)
        return jax.random.uniform(keys[index], shape, minval=bounds[0], maxval=bounds[1])

    amplitude, frequency = uniform(0, cases.AMPLITUDE, 1), uniform(1, cases.FREQUENCY, 1)
    phase = uniform(2, cases.PHASE, 1)
    x = uniform(3, cases.INPUT, case.shots + case.queries)
    y = amplitude * jnp.sin(frequency * x + phase)
    return x[:, : case.shots], y[:, : case.shots], x[:, case.shots :], y[:, case.shots :]


def draw_images(case: cases.Case, pool: jax.Array, key: jax.Array) -> Episodes:
    """Draws `case.tasks` episodes from the pool: images float32 in [0, 1], labels int32."""
    class_key, drawing_key = jax.random.split(key)

    def distinct(key: jax.Array, count: int, among: int, *shape: int) -> jax.Array:
        return lax.top_k(jax.random.uniform(key, (*shape, among)), count)[1]

    classes = distinct(class_key, case.ways, cases.POOL_CLASSES, case.tasks)
    drawn = case.shots + case.queries
    drawings = distinct(drawing_key, drawn, cases.POOL_DRAWINGS, case.tasks, case.ways)
    images = pool[classes[:, :, None], drawings].astype(jnp.float32) / 255.0

    def part(images: jax.Array, per_class: int) -> tuple[jax.Array, jax.Array]:
        flat = images.reshape(case.tasks, case.ways * per_class, *images.shape[3:])
        labels = jnp.repeat(jnp.arange(case.ways), per_class)
        return flat, jnp.broadcast_to(labels, (case.tasks, len(labels)))

    support = part(images[:, :, : case.shots], case.shots)
    return *support, *part(images[:, :, case.shots :], case.queries)


def adam(trained: Any, moments: tuple[Any, Any], gradients: Any, step: jax.Array) -> Any:
    """Returns the trained values and both moments after Adam's update number `step`, from 1."""
    beta1, beta2 = cases.ADAM_BETA1, cases.ADAM_BETA2
    first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, moments[0], gradients)
    second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, moments[1], gradients)
    scale1, scale2 = 1 / (1 - beta1**step), 1 / (1 - beta2**step)

    def update(w: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        denominator = jnp.sqrt(v * scale2) + cases.ADAM_EPSILON
        return w - cases.OUTER_LEARNING_RATE * m * scale1 / denominator

    return jax.tree.map(update, trained, first, second), (first, second)


def build(case: cases.Case) -> Callable[[int, int], float]:
    """Returns `run(first, count)`, which runs the meta-iterations and returns the last loss."""
    theta = [jnp.asarray(w) for w in cases.initial_weights(case)]
    trained = (theta, [jnp.full_like(w, cases.ALPHA) for w in theta])
    zeros = jax.tree.map(jnp.zeros_like, trained)
    key = jax.random.key(0)
    if case.kind == "regression":
        draw, pool = lambda pool, key: draw_curves(case, key), None
    else:
        draw = functools.partial(draw_images, case)
        pool = jnp.asarray(cases.image_pool(case))

    unroll = UNROLL if case.kind == "regression" else 1

    def iterate(step: jax.Array, state: Any, pool: jax.Array | None) -> Any:
        trained, moments, _ = state
        episodes = draw(pool, jax.random.fold_in(key, step))
        loss, gradients = jax.value_and_grad(functools.partial(meta_loss, case))(trained, episodes)
        trained, moments = adam(trained, moments, gradients, jnp.float32(step + 1))
        return trained, moments, loss

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(state: Any, pool: jax.Array | None, first: jax.Array, count: jax.Array) -> Any:
        # The bounds are known only at run time, so that a new count needs no compilation.
        turns = count // unroll

        def turn(index: jax.Array, state: Any) -> Any:
            for offset in range(unroll):
                state = iterate(first + index * unroll + offset, state, pool)
            return state

        state = lax.fori_loop(0, turns, turn, state)
        if unroll == 1:
            return state
        rest = first + turns * unroll
        return lax.fori_loop(rest, first + count, lambda i, s: iterate(i, s, pool), state)

    state = (trained, (zeros, jax.tree.map(jnp.copy, zeros)), jnp.float32(0))

    def run(first: int, count: int) -> float:
        nonlocal state
        state = loop(state, pool, jnp.int32(first), jnp.int32(count))
        return float(state[2])

    return run
