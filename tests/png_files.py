"""PNG files of every kind that the format has, most of which Pillow cannot write.

W3C, "Portable Network Graphics (PNG) Specification (Second Edition)", 2003.
"""

import struct
import zlib

import numpy as np

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    COLOUR: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    COLOUR_ALPHA: (8, 16),
}
"""The bits of a sample that a colour type may have."""

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_PASSES = (*_ADAM7, (0, 1, 1, 2))
"""Of each pass of an interlaced file: first column and row, and the steps to the next ones."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: np.ndarray,
    colour_type: int,
    depth: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Returns a PNG file.

    Args:
      samples: [height, width, channels], of `depth` bits each.
      colour_type: one of those above.
      depth: bits of a sample.
      interlaced: whether the pixels are stored in seven passes.
      before: chunks between the header and the pixels.
      after: chunks after the pixels.
    """
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_rows(samples[y::down, x::right], depth) for x, y, right, down in passes)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(rows))
        + after
        + chunk(b"IEND", b"")
    )


def _rows(samples: np.ndarray, depth: int) -> bytes:
    """Returns rows of pixels, each after a byte that says that they are stored as they are."""
    height, width, channels = samples.shape
    if not height or not width:
        return b""
    numbers = samples.reshape(height, width * channels)
    if depth == 16:
        packed = numbers.astype(">u2").view(np.uint8)
    else:
        bits = numbers[..., np.newaxis] >> np.arange(depth - 1, -1, -1) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    return np.pad(packed, ((0, 0), (1, 0))).tobytes()
