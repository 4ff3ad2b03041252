"""Reads a JPEG's orientation from its Exif data and turns it upright, in a TensorFlow graph.

Cameras store pixels as the sensor sees them, and separately how they were held: CIPA DC-008
(Exif 2.32), section 4.6.4, the tag Orientation.
"""

import tensorflow as tf

_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY = 12
"""Bytes of an entry in a directory of tags."""


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns a JPEG's orientation, 1 to 8 (int32 scalar); 1 if it has none that is valid.

    Args:
      encoded: the file, scalar string.
    """
    data = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 0, 2**20), tf.uint8), tf.int32)
    start = _exif(data)
    return tf.cond(start > 0, lambda: _tag(data, start), lambda: tf.constant(1))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image [height, width, channels] as its orientation asks for."""
    image = tf.cond(orientation >= 5, lambda: _transposed(image), lambda: tf.identity(image))
    for axis, mirrored in ((1, [2, 3, 6, 7]), (0, [3, 4, 7, 8])):
        image = tf.cond(
            tf.reduce_any(tf.equal(orientation, mirrored)),
            lambda image=image, axis=axis: tf.reverse(image, [axis]),
            lambda image=image: tf.identity(image),
        )
    return image


def _transposed(image: tf.Tensor) -> tf.Tensor:
    # tf.transpose makes oneDNN log an error on CPUs without AVX-512 for bytes.
    height, width, _ = tf.unstack(tf.shape(image), 3)
    places = width * tf.range(height) + tf.range(width)[:, tf.newaxis]
    return tf.gather(tf.reshape(image, [-1, image.shape[-1]]), places)


def _bytes(data: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Returns the bytes at these offsets; 0 outside of the data, as a file may name any offset."""
    there = (place >= 0) & (place < tf.size(data))
    return tf.where(there, tf.gather(data, tf.where(there, place, 0)), 0)


def _number(data: tf.Tensor, place: tf.Tensor, size: int, little: tf.Tensor) -> tf.Tensor:
    """Returns the integers of `size` bytes at these offsets."""
    parts = [_bytes(data, place + index) for index in range(size)]
    first_is_most = parts[0]
    for part in parts[1:]:
        first_is_most = 256 * first_is_most + part
    last_is_most = parts[-1]
    for part in parts[-2::-1]:
        last_is_most = 256 * last_is_most + part
    return tf.where(little, last_is_most, first_is_most)


def _exif(data: tf.Tensor) -> tf.Tensor:
    """Returns the offset of the Exif data after its name, 0 if there is none."""
    big = tf.constant(False)

    def is_segment(place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        marker = _bytes(data, place + 1)
        # After the start of the pixel data (0xDA) there are no more segments to read.
        return (
            tf.equal(found, 0)
            & tf.equal(_bytes(data, place), 0xFF)
            & tf.not_equal(marker, 0xDA)
            & (place < tf.size(data))
        )

    def next_segment(place: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        name = _bytes(data, place + 4 + tf.range(6))
        is_exif = tf.equal(_bytes(data, place + 1), 0xE1) & tf.reduce_all(
            tf.equal(name, list(b"Exif\0\0"))
        )
        length = tf.maximum(_number(data, place + 2, 2, big), 2)
        return place + 2 + length, tf.where(is_exif, place + 10, found)

    return tf.while_loop(is_segment, next_segment, (tf.constant(2), tf.constant(0)))[1]


def _tag(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    little = tf.equal(_bytes(data, start), ord("I"))
    directory = start + _number(data, start + 4, 4, little)
    count = tf.minimum(_number(data, directory, 2, little), tf.size(data) // _ENTRY)
    entries = directory + 2 + _ENTRY * tf.range(count)
    chosen = tf.equal(_number(data, entries, 2, little), _ORIENTATION) & tf.equal(
        _number(data, entries + 2, 2, little), _SHORT
    )
    values = tf.boolean_mask(_number(data, entries + 8, 2, little), chosen)
    value = tf.reduce_max(tf.concat([[1], values[-1:]], axis=0))
    return tf.where(value <= 8, value, 1)
