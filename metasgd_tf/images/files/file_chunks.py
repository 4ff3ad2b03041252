"""Finds what a PNG or a JPEG says of its pixels beside them, in a TensorFlow graph.

Both formats are a list of chunks with a length each: W3C, "Portable Network Graphics" (2003),
section 5.3, and ITU-T T.81, section B.1.1. Damaged files end the search early and raise nothing:
their pixels are decoded afterwards, which finds the damage. So do files of far more chunks than
programs write, which would take long.
"""

from typing import NamedTuple

import tensorflow as tf

from metasgd_tf.images.files.exif_orientation import NAME

_PNG_START = 8
_JPEG_START = 2
_EXIF_MARKER, _PIXELS_MARKER, _FILLER = 0xE1, 0xDA, 0xFF

MOST_CHUNKS, MOST_SEGMENTS = 10_000, 1_000
"""After so many chunks of a PNG, or segments and filling bytes of a JPEG, the search ends."""


class PngChunks(NamedTuple):
    """What is found in a PNG.

    Attributes:
      exif: its Exif data, scalar string, empty if it has none.
      transparent: whether a colour or entries of the palette are transparent, scalar bool.
    """

    exif: tf.Tensor
    transparent: tf.Tensor


def png_chunks(encoded: tf.Tensor) -> PngChunks:
    """Searches a PNG for eXIf, anywhere, and for tRNS, which is valid before the pixels only.

    Args:
      encoded: the file, scalar string.
    """
    length = tf.strings.length(encoded)

    def is_chunk(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return place + 12 <= length

    def next_chunk(
        place: tf.Tensor, exif: tf.Tensor, transparent: tf.Tensor, in_pixels: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        held = _bounded(_number(encoded, place, 4), length)
        kind = _piece(encoded, place + 4, 4)
        is_exif = tf.equal(kind, b"eXIf")
        exif = tf.cond(is_exif, lambda: _piece(encoded, place + 8, held), lambda: exif)
        transparent |= tf.equal(kind, b"tRNS") & ~in_pixels
        in_pixels |= tf.equal(kind, b"IDAT")
        after = _bounded(tf.cast(place, tf.int64) + 12 + tf.cast(held, tf.int64), length)
        return after, exif, transparent, in_pixels

    begin = (tf.constant(_PNG_START), tf.constant(b""), tf.constant(False), tf.constant(False))
    _, exif, transparent, _ = tf.while_loop(
        is_chunk, next_chunk, begin, parallel_iterations=1, maximum_iterations=MOST_CHUNKS
    )
    return PngChunks(exif, transparent)


def jpeg_exif(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the Exif data of a JPEG, scalar string, empty if it has none.

    Args:
      encoded: the file, scalar string.
    """
    length = tf.strings.length(encoded)

    def is_segment(place: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
        # After the start of the pixel data there are no more segments to read.
        return (
            tf.equal(exif, b"")
            & (place + 4 <= length)
            & tf.equal(_number(encoded, place, 1), _FILLER)
            & tf.not_equal(_number(encoded, place + 1, 1), _PIXELS_MARKER)
        )

    def next_segment(place: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        marker = _number(encoded, place + 1, 1)
        # The length counts its own two bytes.
        held = tf.maximum(_bounded(_number(encoded, place + 2, 2), length) - 2, 0)
        is_exif = tf.equal(marker, _EXIF_MARKER) & tf.equal(
            _piece(encoded, place + 4, tf.minimum(held, len(NAME))), NAME
        )
        exif = tf.cond(is_exif, lambda: _piece(encoded, place + 4, held), lambda: exif)
        # Before a marker there may be any number of the byte that it begins with.
        after = tf.where(tf.equal(marker, _FILLER), place + 1, place + 4 + held)
        return after, exif

    begin = (tf.constant(_JPEG_START), tf.constant(b""))
    return tf.while_loop(
        is_segment, next_segment, begin, parallel_iterations=1, maximum_iterations=MOST_SEGMENTS
    )[1]


def _piece(encoded: tf.Tensor, place: tf.Tensor, size: tf.Tensor | int) -> tf.Tensor:
    """Returns bytes of a file, fewer where it ends before."""
    return tf.strings.substr(encoded, tf.minimum(place, tf.strings.length(encoded)), size)


def _number(encoded: tf.Tensor, place: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the number (int64) that is stored in some bytes, the first being the greatest."""
    padded = tf.strings.join([_piece(encoded, place, size), tf.constant(bytes(size))])
    data = tf.cast(tf.io.decode_raw(padded, tf.uint8)[:size], tf.int64)
    return tf.reduce_sum(data * tf.constant([256**n for n in range(size)][::-1], tf.int64))


def _bounded(number: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.minimum(number, tf.cast(most, tf.int64)), tf.int32)
