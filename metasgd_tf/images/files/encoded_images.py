"""PNG and JPEG decoded in a TensorFlow graph, as training decodes them.

Other files, and images with too many pixels, are refused by their header, before decoding. The
tests compare this with `image_files.decode` for all kinds of both formats.
"""

import re

import tensorflow as tf

from metasgd_tf.images.files.exif_orientation import orientation_in_graph, upright
from metasgd_tf.images.files.file_chunks import jpeg_exif, png_chunks
from metasgd_tf.images.files.image_files import MAX_PIXELS, MIN_SIDE

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_JPEG = b"\xff\xd8\xff"
_WITH_ALPHA = (4, 6)
"""The colour types of PNG that have an alpha channel."""
_FRACTIONS = (1, 2, 4, 8)
"""The factors by which a JPEG decoder can shrink the sides while it decodes."""


def decode(encoded: tf.Tensor, enough: int | None = None) -> tf.Tensor:
    """Decodes an image, turned upright and with transparent pixels composited over white.

    Args:
      encoded: a PNG or JPEG file, scalar string.
      enough: if given, a JPEG is decoded as Pillow does: at the smallest fraction of its size whose
        sides have at least this many pixels, with accurate arithmetic. Else TensorFlow's way.

    Returns:
      [height, width, 3], uint8, of the image's own size or that fraction of it.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, if this is no PNG or JPEG, is damaged, or
        has too few or too many pixels.
    """
    is_png = _begins_with(encoded, _PNG) & (tf.strings.length(encoded) >= len(_PNG) + 10)
    is_jpeg = _begins_with(encoded, _JPEG)
    known = tf.debugging.Assert(is_png | is_jpeg, ["the bytes are no PNG or JPEG"])
    with tf.control_dependencies([known]):
        encoded = tf.identity(encoded)
    return tf.cond(is_png, lambda: _decode_png(encoded), lambda: _decode_jpeg(encoded, enough))


def refusal(error: tf.errors.InvalidArgumentError) -> str:
    """Returns in a few words why `decode` refused an image, wherever its graph ran.

    Args:
      error: what running the graph raised.
    """
    _, said, data = error.message.partition("assertion failed:")
    if said:
        return " ".join(re.findall(r"\[([^\[\]]*)\]", data.splitlines()[0]))
    return "damaged"


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    sides = tf.io.decode_raw(tf.strings.substr(encoded, len(_PNG), 8), tf.int32, False)
    # In the file the sides are unsigned.
    width, height = tf.unstack(tf.cast(sides, tf.int64) % 2**32, 2)
    with tf.control_dependencies(_size_checks(height, width)):
        encoded = tf.identity(encoded)
    (colour_type,) = tf.unstack(
        tf.io.decode_raw(tf.strings.substr(encoded, len(_PNG) + 9, 1), tf.uint8), 1
    )
    chunks = png_chunks(encoded)
    image = tf.cond(
        chunks.transparent | tf.reduce_any(tf.equal(colour_type, _WITH_ALPHA)),
        lambda: _over_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    return upright(image, orientation_in_graph(chunks.exif))


def _decode_jpeg(encoded: tf.Tensor, enough: int | None) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(encoded, tf.int64), 3)
    with tf.control_dependencies(_size_checks(height, width)):
        encoded = tf.identity(encoded)
    orientation = orientation_in_graph(jpeg_exif(encoded))
    if enough is None:
        return upright(tf.io.decode_jpeg(encoded, channels=3), orientation)
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
    return upright(decoded, orientation)


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


def _over_white(image: tf.Tensor) -> tf.Tensor:
    """Composites [height, width, 4] over white, with the rounding of Pillow's `alpha_composite`."""
    colour, alpha = tf.cast(image[..., :3], tf.int32), tf.cast(image[..., 3:], tf.int32)
    total = 128 * (colour * alpha + 255 * (255 - alpha) + 128)
    return tf.cast((total // 256 + total) // 256 // 128, tf.uint8)
