"""Packs a task's state into one row of numbers, which a client keeps between two requests."""

import math
from collections.abc import Sequence

import tensorflow as tf


class StateLayout:
    """The order of a state's tensors in a row of float32 numbers.

    First come the tensors of a known shape, such as weights; then, for each support example, its
    rows of those tensors that have as many rows as there are examples.

    Attributes:
      size: numbers that do not depend on how many support examples there are.
      size_per_example: how many more there are for each.
    """

    def __init__(self, parts: Sequence[tf.Tensor]):
        """Takes the state's tensors as they were traced; a first size that is unknown is N."""
        self._shapes = [part.shape for part in parts]
        self._types = [part.dtype for part in parts]
        self._free = [shape.num_elements() is None for shape in self._shapes]
        sizes = [
            math.prod(s[1:] if f else s) for s, f in zip(self._shapes, self._free, strict=True)
        ]
        self._sizes = [size for size, free in zip(sizes, self._free, strict=True) if not free]
        self._per_example = [size for size, free in zip(sizes, self._free, strict=True) if free]
        self.size, self.size_per_example = sum(self._sizes), sum(self._per_example)

    def packed(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns a task's tensors in a row, [size + N · size_per_example]."""
        known, rows = [], []
        for part, free in zip(parts, self._free, strict=True):
            numbers = tf.cast(part, tf.float32)
            if free:
                rows.append(tf.reshape(numbers, [tf.shape(part)[0], -1]))
            else:
                known.append(tf.reshape(numbers, [-1]))
        together = [tf.reshape(tf.concat(rows, axis=1), [-1])] if rows else []
        return tf.concat([*known, *together], axis=0)

    def unpacked(self, numbers: tf.Tensor) -> list[tf.Tensor]:
        """Returns the tensors for a row of numbers."""
        known = iter(tf.split(numbers[: self.size], self._sizes) if self._sizes else [])
        rows = iter(())
        if self._per_example:
            table = tf.reshape(numbers[self.size :], [-1, self.size_per_example])
            rows = iter(tf.split(table, self._per_example, axis=1))
        values = []
        for shape, kind, free in zip(self._shapes, self._types, self._free, strict=True):
            wanted = [-1, *shape[1:]] if free else shape
            values.append(tf.cast(tf.reshape(next(rows if free else known), wanted), kind))
        return values
