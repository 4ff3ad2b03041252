"""Reads how an image is held from its Exif data, and turns it upright in a TensorFlow graph.

Cameras store pixels as the sensor sees them, and separately how they were held: CIPA DC-008
(Exif 2.32), section 4.6.4, the tag Orientation. Training reads it in Python and an export in its
graph, by the same rules: the first entry of the first directory counts, if it is one SHORT.
"""

import struct

import tensorflow as tf

NAME = b"Exif\0\0"
"""Stands before the data in a JPEG, and by mistake in some PNGs."""

_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY = 12
"""Bytes of an entry in a directory of tags."""


def orientation(exif: bytes) -> int:
    """Returns the orientation, 1 to 8; 1 if there is none that is valid.

    Args:
      exif: Exif data, with or without the name before it; possibly empty or damaged.
    """
    exif = exif.removeprefix(NAME)
    order = "<" if exif[:1] == b"I" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for number in range(count):
            place = directory + 2 + _ENTRY * number
            entry = struct.unpack_from(f"{order}HHIH", exif, place)
            if entry[:3] == (_ORIENTATION, _SHORT, 1):
                return entry[3] if 1 <= entry[3] <= 8 else 1
    except struct.error:
        pass  # The data end before.
    return 1


def orientation_in_graph(exif: tf.Tensor) -> tf.Tensor:
    """Returns what `orientation` does (int32 scalar), for a scalar string."""
    data = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int32)
    named = tf.reduce_all(tf.equal(_bytes(data, tf.range(len(NAME))), list(NAME)))
    data = data[tf.where(named, len(NAME), 0) :]
    little = tf.equal(_bytes(data, tf.constant(0)), ord("I"))
    directory = _number(data, tf.constant(4), 4, little)
    # An offset beyond the data, or one of more than 31 bits, is that of no entries.
    there = (directory >= 0) & (directory < tf.size(data))
    count = tf.where(there, _number(data, directory, 2, little), 0)
    entries = directory + 2 + _ENTRY * tf.range(tf.minimum(count, tf.size(data) // _ENTRY))
    chosen = (
        tf.equal(_number(data, entries, 2, little), _ORIENTATION)
        & tf.equal(_number(data, entries + 2, 2, little), _SHORT)
        & tf.equal(_number(data, entries + 4, 4, little), 1)
        & (entries + 10 <= tf.size(data))
    )
    values = tf.boolean_mask(_number(data, entries + 8, 2, little), chosen)
    value = tf.reduce_max(tf.concat([[1], values[:1]], axis=0))
    return tf.where(value <= 8, value, 1)


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
    padded = tf.concat([data, [0]], axis=0)
    return tf.gather(padded, tf.where(there, place, tf.size(data)))


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
