"""Convolutions and poolings in operations that `tf.vectorized_map` batches over tasks.

    convolution            patches × matrix, one product a group
    depthwise              Σ over a window of patches ∘ filter
    transposed             the transpose of a convolution: products, added up where windows lie
    max-pooling            the first of the largest entries of a window, as TensorFlow takes it
    average-pooling        the mean of a window's entries that lie within the image

Fast weights differ between tasks, so that TensorFlow's own kernels, which take one filter for a
whole batch, would have to be called for each task. Keras looks these functions up by name at each
call, so replacing the names reaches every layer.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainers.batching import patches

_ACTIVE = contextvars.ContextVar("as_products", default=False)


def active() -> bool:
    """Returns whether models are being called within `as_products`."""
    return _ACTIVE.get()


@contextlib.contextmanager
def as_products() -> Iterator[None]:
    """Replaces the functions above in `tf.nn` until the context ends."""
    kept = {name: getattr(tf.nn, name) for name in REPLACED}
    token = _ACTIVE.set(True)
    try:
        for name, function in REPLACED.items():
            setattr(tf.nn, name, function)
        yield
    finally:
        _ACTIVE.reset(token)
        for name, function in kept.items():
            setattr(tf.nn, name, function)


def convolution(
    input: tf.Tensor,
    filters: tf.Tensor,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.convolution` for filters `[*kernel, C / groups, F]`."""
    del name
    x, filters = _last(input, data_format), tf.convert_to_tensor(filters)
    rank = len(x.shape) - 2
    kernel, (inner, outer) = filters.shape[:rank], filters.shape[rank:]
    at = patches.windows(
        x.shape[1:-1],
        kernel,
        _numbers(strides, rank, data_format),
        _numbers(dilations, rank, data_format),
        _named(padding),
    )
    groups = x.shape[-1] // inner
    taken = patches.take(x, at)
    if groups == 1:
        rows = tf.reshape(taken, [-1, at.entries * inner])
        product = tf.matmul(rows, tf.reshape(filters, [-1, outer]))
    else:
        rows = tf.reshape(taken, [-1, at.entries, groups, inner])
        matrix = tf.reshape(filters, [at.entries, inner, groups, outer // groups])
        product = tf.einsum("pkgc,kcgf->pgf", rows, matrix)
    return _first(tf.reshape(product, [_batch(x), *at.counts, outer]), data_format)


def _depthwise(
    input: tf.Tensor,
    filter: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.depthwise_conv2d` for a filter `[*kernel, C, multiplier]`."""
    del name
    x, weights = _last(input, data_format), tf.convert_to_tensor(filter)
    at = patches.windows(
        x.shape[1:-1],
        weights.shape[:2],
        _numbers(strides, 2, data_format),
        _numbers(dilations, 2, data_format),
        _named(padding),
    )
    channels, multiplier = weights.shape[2:]
    rows = tf.reshape(patches.take(x, at), [-1, at.entries, channels, 1])
    weights = tf.reshape(weights, [at.entries, channels, multiplier])
    outputs = tf.reduce_sum(rows * weights, axis=1)
    outputs = tf.reshape(outputs, [_batch(x), *at.counts, channels * multiplier])
    return _first(outputs, data_format)


def _separable(
    input: tf.Tensor,
    depthwise_filter: tf.Tensor,
    pointwise_filter: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.separable_conv2d`."""
    del name
    between = _depthwise(input, depthwise_filter, strides, padding, data_format, dilations)
    return convolution(between, pointwise_filter, data_format=data_format)


def _transposed(
    input: tf.Tensor,
    filters: tf.Tensor,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.conv_transpose` for filters `[*kernel, F, C]`."""
    del name
    x, filters = _last(input, data_format), tf.convert_to_tensor(filters)
    rank = len(x.shape) - 2
    kernel, (outer, inner) = filters.shape[:rank], filters.shape[rank:]
    shape = list(output_shape)
    sizes = shape[2:] if _channels_first(data_format) else shape[1:-1]
    at = patches.windows(
        tuple(map(int, sizes)),
        kernel,
        _numbers(strides, rank, data_format),
        _numbers(dilations, rank, data_format),
        _named(padding),
    )
    rows = tf.reshape(x, [-1, inner])
    product = tf.matmul(rows, tf.reshape(filters, [-1, inner]), transpose_b=True)
    spread = tf.reshape(product, [_batch(x), *at.counts, at.entries, outer])
    return _first(patches.add_up(spread, at), data_format)


def _max_pool(
    input: tf.Tensor,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.max_pool`."""
    del name
    x = _last(input, data_format)
    at = _pooled(x, ksize, strides, padding, data_format)
    taken = patches.take(x, at)
    # Of equal entries the first one is taken, as padding never is.
    candidates = tf.where(_inside(at), taken, taken.dtype.min)
    number, axis = tf.argmax(candidates, axis=-2), len(x.shape) - 1
    first = tf.one_hot(number, at.entries, True, False, axis=axis, dtype=tf.bool)
    # Chosen and not multiplied by 0, which would make a number of what is infinite beside it.
    return _first(tf.reduce_sum(tf.where(first, taken, 0), axis=-2), data_format)


def _avg_pool(
    input: tf.Tensor,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Replaces `tf.nn.avg_pool`."""
    del name
    x = _last(input, data_format)
    at = _pooled(x, ksize, strides, padding, data_format)
    counts = tf.constant(_inside(at).sum(axis=-2), x.dtype)
    return _first(tf.reduce_sum(patches.take(x, at), axis=-2) / counts, data_format)


def _pooled(
    x: tf.Tensor, ksize: Any, strides: Any, padding: str, data_format: str | None
) -> patches.Windows:
    rank = len(x.shape) - 2
    kernel, steps = (_numbers(given, rank, data_format) for given in (ksize, strides))
    return patches.windows(x.shape[1:-1], kernel, steps, (1,) * rank, _named(padding))


def _inside(at: patches.Windows) -> np.ndarray:
    """Returns which entries of the windows lie within the image, [1, *counts, entries, 1]."""
    inside = np.ones([1] * (len(at.counts) + 1) + [1], bool)
    for axis, (n, k, s, d, before, count) in enumerate(zip(*at, strict=True)):
        places = np.arange(count)[:, np.newaxis] * s + np.arange(k) * d - before
        within = (places >= 0) & (places < n)
        shape = [1] * (len(at.counts) + 1) + [k]
        shape[axis + 1] = count
        inside = inside[..., np.newaxis] & within.reshape(shape)[..., np.newaxis, :]
        inside = inside.reshape(*inside.shape[:-2], -1)
    return inside[..., np.newaxis]


def _numbers(given: Any, rank: int, data_format: str | None) -> tuple[int, ...]:
    """Returns one number a spatial dimension, of one for all, one for each, or for each of all."""
    if given is None:
        return (1,) * rank
    numbers = (given,) if isinstance(given, int) else tuple(given)
    if len(numbers) == 1:
        return numbers * rank
    if len(numbers) == rank:
        return numbers
    spatial = slice(2, None) if _channels_first(data_format) else slice(1, -1)
    if len(numbers) != rank + 2 or math.prod(numbers) != math.prod(numbers[spatial]):
        raise NotImplementedError(f"windows of {numbers} over images of {rank} dimensions")
    return numbers[spatial]


def _named(padding: Any) -> str:
    if not isinstance(padding, str):
        raise NotImplementedError(f"padding of {padding} by numbers")
    return padding.upper()


def _channels_first(data_format: str | None) -> bool:
    return data_format is not None and data_format.startswith("NC")


def _last(x: Any, data_format: str | None) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    if not _channels_first(data_format):
        return x
    return tf.transpose(x, [0, *range(2, len(x.shape)), 1])


def _first(x: tf.Tensor, data_format: str | None) -> tf.Tensor:
    if not _channels_first(data_format):
        return x
    return tf.transpose(x, [0, len(x.shape) - 1, *range(1, len(x.shape) - 1)])


def _batch(x: tf.Tensor) -> tf.Tensor | int:
    return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]


REPLACED = {
    "convolution": convolution,
    "depthwise_conv2d": _depthwise,
    "separable_conv2d": _separable,
    "conv_transpose": _transposed,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}
"""By name, what stands for the functions of `tf.nn`."""
