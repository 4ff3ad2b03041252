"""Images of many classes in one array, which TensorFlow shares with NumPy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

ALIGNMENT = 64
"""Bytes, the largest that any build of TensorFlow asks of a tensor's address."""


class ImagesByClass(NamedTuple):
    """Images, one class after the other.

    Attributes:
      images: [count, height, width, channels], uint8, an array or a tensor.
      counts: number of images of each class.
      names: what each class is called.
    """

    images: np.ndarray | tf.Tensor
    counts: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of_even_classes(cls, images: np.ndarray) -> "ImagesByClass":
        """Returns classes that are as large as one another and are called by their numbers.

        Args:
          images: [classes, images a class, height, width, channels], uint8.
        """
        classes, count = images.shape[:2]
        names = tuple(f"class {number}" for number in range(classes))
        return cls(images.reshape(-1, *images.shape[2:]), (count,) * classes, names)


def empty(shape: Sequence[int]) -> np.ndarray:
    """Returns an array (uint8) of any content, laid out so that `as_tensor` need not copy it."""
    size = int(np.prod(shape, dtype=np.int64))
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].reshape(shape)


def as_tensor(images: np.ndarray) -> tf.Tensor:
    """Returns images (uint8) as a tensor in the computer's own memory, not a GPU's.

    Args:
      images: what `empty` returned, filled, and not to be changed from now on; or any other array,
        which is copied.
    """
    # tf.constant would hold three copies for a while and two from then on, and DLPack takes an
    # address that TensorFlow dies of later.
    if images.ctypes.data % ALIGNMENT or not (images.flags.c_contiguous and images.flags.writeable):
        copy = empty(images.shape)
        copy[:] = images
        images = copy
    return tf.experimental.dlpack.from_dlpack(images.__dlpack__())
