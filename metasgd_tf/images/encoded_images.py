"""PNG and JPEG decoded in a TensorFlow graph, as training decodes them.

What is no such file, or claims too many pixels, is refused by its header; nothing is decoded for
that. The tests hold both ways of decoding against each other.

Two rare things differ: a JPEG of four channels (for printing) is refused, and of what says which
side is up only Exif data in a JPEG is read.
"""

import tensorflow as tf

from metasgd_tf.images.exif_orientation import orientation, upright
from metasgd_tf.images.image_files import MAX_PIXELS, MIN_SIDE

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_JPEG = b"\xff\xd8\xff"
_FRACTIONS = (1, 2, 4, 8)
"""What a JPEG decoder can divide the sides by on its way."""


def decode(encoded: tf.Tensor, enough: int | None = None) -> tf.Tensor:
    """Decodes an image, turned upright, with what is transparent laid over white.

    Args:
      encoded: a PNG or JPEG file, scalar string.
      enough: for a JPEG as Pillow decodes it: at the smallest fraction of its size whose sides are
        at least this, with accurate arithmetic. As TensorFlow decodes it if not given.

    Returns:
      [height, width, 3], uint8, of the image's own size or that fraction of it.

    Raises:
      tf.errors.InvalidArgumentError: when it runs, if this is no PNG or JPEG, is damaged, or has
        too few or too many pixels.
    """
    is_png = _begins_with(encoded, _PNG) & (tf.strings.length(encoded) > len(_PNG) + 8)
    is_jpeg = _begins_with(encoded, _JPEG)
    known = tf.debugging.Assert(is_png | is_jpeg, ["the bytes are no PNG or JPEG"])
    with tf.control_dependencies([known]):
        encoded = tf.identity(encoded)
    return tf.cond(is_png, lambda: _decode_png(encoded), lambda: _decode_jpeg(encoded, enough))


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    sides = tf.io.decode_raw(tf.strings.substr(encoded, len(_PNG), 8), tf.int32, False)
    # The file's numbers have no sign.
    width, height = tf.unstack(tf.cast(sides, tf.int64) % 2**32, 2)
    with tf.control_dependencies(_size_checks(height, width)):
        encoded = tf.identity(encoded)
    (depth,) = tf.unstack(
        tf.io.decode_raw(tf.strings.substr(encoded, len(_PNG) + 8, 1), tf.uint8), 1
    )
    # What TensorFlow fills in where a file has no transparency: all bits of one of its samples.
    opaque = tf.bitwise.left_shift(1, tf.minimum(tf.cast(depth, tf.int32), 8)) - 1
    return _over_white(tf.io.decode_png(encoded, channels=4), tf.cast(opaque, tf.uint8))


def _decode_jpeg(encoded: tf.Tensor, enough: int | None) -> tf.Tensor:
    height, width, channels = tf.unstack(tf.image.extract_jpeg_shape(encoded, tf.int64), 3)
    plain = tf.debugging.Assert(
        channels < 4, ["the JPEG has four channels, for printing; it should be grey or RGB"]
    )
    with tf.control_dependencies([plain, *_size_checks(height, width)]):
        encoded = tf.identity(encoded)
    if enough is None:
        return upright(tf.io.decode_jpeg(encoded, channels=3), orientation(encoded))
    possible = tf.minimum(height, width) // enough
    choice = tf.math.count_nonzero(possible >= tf.constant(_FRACTIONS[1:], tf.int64))
    decoded = tf.switch_case(
        tf.cast(choice, tf.int32),
        [
            lambda ratio=ratio: tf.io.decode_jpeg(
                encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
            )
            for ratio in _FRACTIONS
        ],
    )
    return upright(decoded, orientation(encoded))


def _begins_with(encoded: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(encoded, 0, len(start)), start)


def _size_checks(height: tf.Tensor, width: tf.Tensor) -> list[tf.Operation]:
    size = [tf.strings.as_string(width), "×", tf.strings.as_string(height), "pixels"]
    # Sides of billions would overflow as a product.
    fits = (width <= MAX_PIXELS) & (height <= MAX_PIXELS) & (width * height <= MAX_PIXELS)
    return [
        tf.debugging.Assert(
            tf.minimum(width, height) >= MIN_SIDE,
            [f"the image is smaller than {MIN_SIDE} × {MIN_SIDE}:", *size],
        ),
        tf.debugging.Assert(
            fits, [f"the image has more than {MAX_PIXELS:,} pixels together:", *size]
        ),
    ]


def _over_white(image: tf.Tensor, opaque: tf.Tensor) -> tf.Tensor:
    """Lays [height, width, 4] over white, with the rounding of Pillow's `alpha_composite`.

    If all of the last channel is `opaque`, there is nothing to be seen through.
    """

    def composed() -> tf.Tensor:
        colour, alpha = tf.cast(image[..., :3], tf.int32), tf.cast(image[..., 3:], tf.int32)
        total = 128 * (colour * alpha + 255 * (255 - alpha) + 128)
        return tf.cast((total // 256 + total) // 256 // 128, tf.uint8)

    is_opaque = tf.reduce_all(tf.equal(image[..., 3], opaque))
    return tf.cond(is_opaque, lambda: image[..., :3], composed)
