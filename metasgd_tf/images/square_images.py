"""Resizes images of any size to squares in a TensorFlow graph, exactly as Pillow does.

Training decodes its images with Pillow (`image_files.decode`), and served images must not differ.
Pillow resizes in integers: with fixed-point weights, first along rows, then along columns, and
rounding to 8 bits in between. For images taller than wide, Pillow 13 may start with the columns;
then a pixel can differ by 1 of 255. In all other cases the pixels are equal.
"""

import tensorflow as tf

_BITS = 22
"""Fractional bits of the weights: 32 less 8 for the pixels and 2 as headroom for sums."""

_ROWS = 64
"""Rows that are resized together; each of their pixels is in memory a few times."""


def square(image: tf.Tensor, size: int, channels: int) -> tf.Tensor:
    """Resizes an image to a square, grey or in colour, by Pillow's `BILINEAR` filter.

    Args:
      image: [height, width, 3], uint8.
      size: height and width of the result.
      channels: 1 or 3.

    Returns:
      [size, size, channels], uint8.
    """
    if channels == 1:
        image = grey(image)
    height = tf.shape(image)[0]
    places, weights = _filter(tf.shape(image)[1], size)
    squeezed = tf.TensorArray(
        tf.uint8,
        (height + _ROWS - 1) // _ROWS,
        infer_shape=False,
        element_shape=[None, size, channels],
    )

    def rows(number: tf.Tensor, squeezed: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = image[number * _ROWS : (number + 1) * _ROWS]
        return number + 1, squeezed.write(number, _weighted(part, places, weights, axis=1))

    _, squeezed = tf.while_loop(
        lambda number, _: number * _ROWS < height,
        rows,
        (tf.constant(0), squeezed),
        parallel_iterations=1,
    )
    return tf.ensure_shape(
        _weighted(squeezed.concat(), *_filter(height, size), axis=0), [size, size, channels]
    )


def grey(image: tf.Tensor) -> tf.Tensor:
    """Returns a colour image [height, width, 3] (uint8) in grey, [height, width, 1].

    By the weights of ITU-R 601-2 with 16 fractional bits, as Pillow has them.
    """
    red, green, blue = tf.split(tf.cast(image, tf.int32), 3, axis=-1)
    return tf.cast((19595 * red + 38470 * green + 7471 * blue + 2**15) // 2**16, tf.uint8)


def _filter(length: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the old pixels of each of `size` new ones, and their weights, both [size, width].

    A new pixel is the mean of all pixels that it covers, and at least of its neighbours, weighted
    by a triangle.
    """
    scale = tf.cast(length, tf.float64) / size
    support = tf.maximum(scale, 1.0)
    centre = (tf.range(size, dtype=tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centre - support + 0.5, tf.int32), 0)
    count = 2 * tf.cast(tf.math.ceil(support), tf.int32) + 1
    places = first[:, tf.newaxis] + tf.range(count)
    distance = (tf.cast(places, tf.float64) - centre[:, tf.newaxis] + 0.5) / support
    weights = tf.where(places < length, tf.nn.relu(1.0 - tf.abs(distance)), 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    fixed = tf.cast(tf.floor(weights * 2.0**_BITS + 0.5), tf.int32)
    return tf.minimum(places, length - 1), fixed


def _weighted(image: tf.Tensor, places: tf.Tensor, weights: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns the weighted means along an axis of [height, width, channels], uint8."""
    covered = tf.cast(tf.gather(image, places, axis=axis), tf.int32)
    shape = [1] * axis + [tf.shape(places)[0], tf.shape(places)[1]] + [1] * (2 - axis)
    total = tf.reduce_sum(covered * tf.reshape(weights, shape), axis=axis + 1)
    return tf.cast(tf.minimum((total + 2 ** (_BITS - 1)) // 2**_BITS, 255), tf.uint8)
