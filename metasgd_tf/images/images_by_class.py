"""Images of many classes in one array, whose memory TensorFlow shares with NumPy."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from metasgd_tf.output.listing import counted, listed
from trainers.errors import InputError

ALIGNMENT = 64
"""The largest alignment of a tensor's address, in bytes, that any build of TensorFlow needs."""


class ImagesByClass(NamedTuple):
    """Images, one class after the other.

    Attributes:
      images: [count, height, width, channels], uint8, an array or a tensor.
      counts: number of images of each class.
      names: the name of each class.
    """

    images: np.ndarray | tf.Tensor
    counts: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of_even_classes(cls, images: np.ndarray) -> "ImagesByClass":
        """Returns the images of classes of equal size, named by their numbers.

        Args:
          images: [classes, images per class, height, width, channels], uint8.
        """
        classes, count = images.shape[:2]
        names = tuple(f"class {number}" for number in range(classes))
        return cls(images.reshape(-1, *images.shape[2:]), (count,) * classes, names)


def empty(shape: Sequence[int]) -> np.ndarray:
    """Returns an uninitialised array (uint8), aligned so that `as_tensor` need not copy it.

    Args:
      shape: of images, [count, height, width, channels], or any other.

    Raises:
      InputError: if there is not as much memory; the message begins with the images' height.
    """
    size = math.prod(shape)
    try:
        buffer = np.empty(size + ALIGNMENT, np.uint8)
    except (MemoryError, ValueError) as error:  # The latter where no computer has as much.
        raise InputError(
            f"image_size={shape[1]}: {shape[0]:,} images need {size / 1e9:,.0f} GB of memory; ask "
            "for smaller ones, or have fewer"
        ) from error
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].reshape(shape)


def as_tensor(images: np.ndarray) -> tf.Tensor:
    """Returns images (uint8) as a tensor in main memory, not a GPU's.

    Args:
      images: an array from `empty`, which must not be changed afterwards; or any other array, which
        is copied.
    """
    # tf.constant would hold three copies for a while and two from then on, and DLPack accepts
    # unaligned addresses, with which TensorFlow crashes later.
    if images.ctypes.data % ALIGNMENT or not (images.flags.c_contiguous and images.flags.writeable):
        copy = empty(images.shape)
        copy[:] = images
        images = copy
    return tf.experimental.dlpack.from_dlpack(images.__dlpack__())


def refuse_too_few(
    split: str, counts: Mapping[str, int], ways: int, shots: int, queries: int
) -> None:
    """Checks that tasks can be drawn from the classes of a split.

    Args:
      split: its name.
      counts: the number of images of each class.
      ways: classes per task.
      shots: support images per class.
      queries: query images per class.

    Raises:
      InputError: if there are too few classes, or some, which are named, have too few images.
    """
    if ways > len(counts):
        raise InputError(
            f"ways={ways}: the {split} split has {counted(len(counts), 'class', 'classes')}; ask "
            "for no more"
        )
    needed = shots + queries
    short = [
        f"{name} ({counted(count, 'image')})" for name, count in counts.items() if count < needed
    ]
    if short:
        raise InputError(
            f"shots={shots} and queries={queries}: a class needs {needed} images for both, and "
            f"some of the {split} split have fewer: {listed(short)}; ask for fewer, or leave these "
            "classes out"
        )
