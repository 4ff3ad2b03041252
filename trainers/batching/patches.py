"""Patches of images as a linear map and its transpose, each the other's gradient.

A convolution is patches × a matrix, and in that form `tf.vectorized_map` makes one batched product
of the convolutions of all tasks. TensorFlow cannot differentiate slices twice under
`tf.vectorized_map` and XLA; here none is differentiated: taking patches P is linear, its gradient
is the transpose Pᵀ, which adds patches up, and the gradient of that is P.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf


class Windows(NamedTuple):
    """Where the windows of a convolution or a pooling lie, in each spatial dimension.

    Attributes:
      sizes: of the images.
      kernel: sizes of a window.
      strides: from one window to the next.
      dilations: from one entry of a window to the next.
      before: entries of padding before an image.
      counts: numbers of windows.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def entries(self) -> int:
        """Entries of a window."""
        return math.prod(self.kernel)


def windows(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
) -> Windows:
    """Returns where TensorFlow's windows lie.

    Args:
      sizes: of the images, the spatial dimensions only, as are the other lists.
      kernel: sizes of a window.
      strides: from one window to the next.
      dilations: from one entry of a window to the next.
      padding: `SAME` or `VALID`.
    """
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if padding == "VALID":
        counts = [(n - r) // s + 1 for n, r, s in zip(sizes, reach, strides, strict=True)]
        before = [0] * len(counts)
    else:
        counts = [-(-n // s) for n, s in zip(sizes, strides, strict=True)]
        missing = zip(counts, strides, reach, sizes, strict=True)
        before = [max((c - 1) * s + r - n, 0) // 2 for c, s, r, n in missing]
    return Windows(*map(tuple, (sizes, kernel, strides, dilations, before, counts)))


def take(x: tf.Tensor, at: Windows) -> tf.Tensor:
    """Returns the entries of each window, zero where it reaches over the edge.

    It can be differentiated any number of times.

    Args:
      x: images `[N, *sizes, C]`.
      at: the windows.

    Returns:
      `[N, *counts, entries, C]`.
    """
    return _both_ways(at)[0](x)


def add_up(y: tf.Tensor, at: Windows) -> tf.Tensor:
    """Adds windows up where they lie: the transpose of `take`, as differentiable.

    Args:
      y: `[N, *counts, entries, C]`.
      at: the windows.

    Returns:
      `[N, *sizes, C]`.
    """
    return _both_ways(at)[1](y)


Linear: TypeAlias = Callable[[tf.Tensor], tf.Tensor]


def _both_ways(at: Windows) -> tuple[Linear, Linear]:
    """Returns the taking and the adding up of windows, each the other's gradient."""

    @tf.custom_gradient
    def taken(x: tf.Tensor) -> tuple[tf.Tensor, Linear]:
        return _take(x, at), added

    @tf.custom_gradient
    def added(y: tf.Tensor) -> tuple[tf.Tensor, Linear]:
        return _add_up(y, at), taken

    return taken, added


def _take(x: tf.Tensor, at: Windows) -> tf.Tensor:
    """Takes windows along one dimension after the other, which takes fewer slices than at once."""
    count, channels = _batch(x), x.shape[-1]
    done: list[int] = []
    for axis in range(len(at.sizes)):
        outer = math.prod(done)
        rest = math.prod(at.sizes[axis + 1 :]) * channels
        x = _take_along(tf.reshape(x, [count * outer, at.sizes[axis], rest]), _one(at, axis))
        done += [at.counts[axis], at.kernel[axis]]
    rank = len(at.sizes)
    x = tf.reshape(x, [count, *done, channels])
    places = [*range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2)]
    x = tf.transpose(x, [0, *places, 2 * rank + 1])
    return tf.reshape(x, [count, *at.counts, at.entries, channels])


def _add_up(y: tf.Tensor, at: Windows) -> tf.Tensor:
    """Does the steps of `_take` backwards, each transposed."""
    count, channels, rank = _batch(y), y.shape[-1], len(at.sizes)
    y = tf.reshape(y, [count, *at.counts, *at.kernel, channels])
    places = [place for axis in range(rank) for place in (1 + axis, 1 + rank + axis)]
    y = tf.transpose(y, [0, *places, 2 * rank + 1])
    pairs = [number for pair in zip(at.counts, at.kernel, strict=True) for number in pair]
    for axis in reversed(range(rank)):
        outer = math.prod(pairs[: 2 * axis])
        rest = math.prod(at.sizes[axis + 1 :]) * channels
        shape = [count * outer, at.counts[axis], at.kernel[axis], rest]
        y = _add_up_along(tf.reshape(y, shape), _one(at, axis))
    return tf.reshape(y, [count, *at.sizes, channels])


class _Along(NamedTuple):
    """Windows along one dimension; the numbers are those of `Windows`."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    windows: int

    @property
    def blocks(self) -> int:
        """How many whole strides the dimension is long with its padding.

        In whole strides a pick of every s-th entry is a plain slice after a reshape.
        """
        last = (self.kernel - 1) * self.dilation
        whole = last // self.stride + self.windows
        return max(-(-(self.before + self.size) // self.stride), whole)

    @property
    def starts(self) -> list[tuple[int, int]]:
        """Where each entry of a window begins: in whole strides, and the rest."""
        return [divmod(entry * self.dilation, self.stride) for entry in range(self.kernel)]


def _one(at: Windows, axis: int) -> _Along:
    return _Along(*(numbers[axis] for numbers in at))


def _take_along(x: tf.Tensor, at: _Along) -> tf.Tensor:
    """Maps [A, size, B] to [A, windows, kernel, B]."""
    outer, rest = _batch(x), x.shape[-1]
    after = at.blocks * at.stride - at.before - at.size
    x = tf.pad(x, [[0, 0], [at.before, after], [0, 0]])
    x = tf.reshape(x, [outer, at.blocks, at.stride, rest])
    size = [outer, at.windows, 1, rest]
    return tf.concat([tf.slice(x, [0, *start, 0], size) for start in at.starts], axis=2)


def _add_up_along(y: tf.Tensor, at: _Along) -> tf.Tensor:
    """Maps [A, windows, kernel, B] to [A, size, B]."""
    outer, rest = _batch(y), y.shape[-1]
    total = None
    for (whole, left), part in zip(at.starts, tf.split(y, at.kernel, axis=2), strict=True):
        beside = [whole, at.blocks - at.windows - whole], [left, at.stride - 1 - left]
        padded = tf.pad(part, [[0, 0], *beside, [0, 0]])
        total = padded if total is None else total + padded
    total = tf.reshape(total, [outer, at.blocks * at.stride, rest])
    return tf.slice(total, [0, at.before, 0], [outer, at.size, rest])


def _batch(x: tf.Tensor) -> tf.Tensor | int:
    return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
