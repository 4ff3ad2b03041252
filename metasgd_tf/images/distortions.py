"""Variety in training: affine maps of classes and of drawings, and strokes of other widths.

A large map that all drawings of a class share makes it another class, as a rotation by 90° does; a
small one for each drawing keeps it the same. All operations can be compiled by XLA, and draw by
`trainers.seeds`, so that a task is the same however it is run.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from trainers.seeds import fold_in, uniform

ROTATION = math.pi / 4
SHEAR = 0.5
SCALE = 0.4
SHIFT = 0.15
"""The largest parts of a map at strength 1: radians, shear, log scale, share of a side."""

NEIGHBOURS = 3
"""Side of the window whose largest or smallest value thick or thin strokes have."""


class Distortions(NamedTuple):
    """How a task's images are varied.

    Attributes:
      of_class: strength of the affine map that all images of a class share; 0 for none.
      of_drawing: strength of the affine map of each image; 0 for none.
      strokes: how far strokes are at most made thicker or thinner, between 0 and 1.
    """

    of_class: float = 0.0
    of_drawing: float = 0.0
    strokes: float = 0.0

    def __call__(self, seed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Varies the images of a task.

        Args:
          seed: [2].
          images: [classes, images, height, width, channels], float32, 0 for paper.

        Returns:
          As many images, of the same shape.
        """
        classes, each, *shape = images.shape
        count = classes * each
        drawings = tf.reshape(images, [count, *shape])
        if self.strokes:
            weights = self.strokes * signed(fold_in(seed, 0), [count])
            drawings = with_strokes(drawings, weights)
        if self.of_class or self.of_drawing:
            shared = affine_maps(fold_in(seed, 1), classes, self.of_class)
            own = affine_maps(fold_in(seed, 2), count, self.of_drawing)
            drawings = mapped(drawings, tf.matmul(tf.repeat(shared, each, axis=0), own))
        return tf.reshape(drawings, images.shape)


def signed(seed: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Draws numbers uniformly from [−1, 1), of this shape."""
    return 2.0 * uniform(seed, shape) - 1.0


def affine_maps(seed: tf.Tensor, count: int, strength: float) -> tf.Tensor:
    """Draws affine maps of the plane: a rotation, a shear, a scale for each axis, and a shift.

        [cos a  −sin a] [1  h] [e^r   0 ]
        [sin a   cos a] [0  1] [ 0   e^c]   and a shift by t

    Args:
      seed: [2].
      count: how many.
      strength: what the largest parts above are multiplied by.

    Returns:
      [count, 3, 3], from (row, column, 1) to (row, column, 1), where an image spans [−1, 1].
    """
    parts = strength * signed(seed, [6, count])
    turn, shear = ROTATION * parts[0], SHEAR * parts[1]
    rows, columns = tf.exp(SCALE * parts[2]), tf.exp(SCALE * parts[3])
    shift = 2.0 * SHIFT * parts[4:]
    cos, sin = tf.cos(turn), tf.sin(turn)
    zero, one = tf.zeros([count]), tf.ones([count])
    entries = [
        [cos * rows, (cos * shear - sin) * columns, shift[0]],
        [sin * rows, (sin * shear + cos) * columns, shift[1]],
        [zero, zero, one],
    ]
    return tf.transpose(tf.stack([tf.stack(row) for row in entries]), [2, 0, 1])


def mapped(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Returns images whose value at a point is the given image's where the map takes that point.

    Between pixels it is interpolated bilinearly, and outside of the image it is 0.

    Args:
      images: [N, height, width, channels], float32.
      maps: [N, 3, 3], see `affine_maps`.
    """
    _, height, width, channels = images.shape
    rows, columns = (_centres(size) for size in (height, width))
    points = tf.stack([*tf.meshgrid(rows, columns, indexing="ij"), tf.ones([height, width])])
    found = tf.matmul(maps[:, :2], tf.reshape(points, [3, -1]))
    row = (found[:, 0] + 1.0) * (height / 2) - 0.5
    column = (found[:, 1] + 1.0) * (width / 2) - 0.5
    pixels = tf.reshape(images, [-1, height * width, channels])
    total = tf.zeros_like(pixels)
    for down in (0, 1):
        for right in (0, 1):
            r, c = tf.floor(row) + down, tf.floor(column) + right
            weight = (1.0 - tf.abs(row - r)) * (1.0 - tf.abs(column - c))
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            place = tf.cast(tf.where(inside, r * width + c, 0.0), tf.int32)
            weight = tf.where(inside, weight, 0.0)[..., tf.newaxis]
            total += weight * tf.gather(pixels, place, batch_dims=1)
    return tf.reshape(total, tf.shape(images))


def with_strokes(images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Makes strokes thicker or thinner.

    Args:
      images: [N, height, width, channels], float32, 0 for paper.
      weights: [N]; at 1 a pixel is the largest of the 3×3 around it, at −1 the smallest, at 0 as
        given, and between these their mean so weighted.
    """
    thick = _largest_around(images)
    thin = -_largest_around(-images)
    weight = weights[:, tf.newaxis, tf.newaxis, tf.newaxis]
    changed = tf.where(weight > 0, thick, thin)
    return images + tf.abs(weight) * (changed - images)


def _largest_around(images: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(images, NEIGHBOURS, 1, "SAME")


def _centres(size: int) -> tf.Tensor:
    """Returns where the centres of that many pixels lie that span [−1, 1]."""
    return (tf.range(size, dtype=tf.float32) + 0.5) * (2.0 / size) - 1.0
