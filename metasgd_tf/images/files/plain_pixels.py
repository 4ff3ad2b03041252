"""What Pillow has decoded, as upright images of 8 bits a sample without transparency.

An export does the same in its graph (`encoded_images`). Where Pillow would do otherwise than the
formats say, or than the graph can, this module says what is done.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from metasgd_tf.images.files.exif_orientation import NAME, orientation

JPEGS = ("JPEG", "MPO")
"""Pillow's names of JPEG; cameras write several images into one file, of which the first counts."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each orientation upright."""

_FEWER_BITS = {"L;2": 2, "L;4": 4}
"""The bits of samples of grey, by Pillow's names of how they lie in the file."""


def plain(image: Image.Image) -> Image.Image:
    """Returns an image turned upright, with 8 bits per sample, composited over white.

    Args:
      image: an opened file; the mode of the result may still be one of grey or of a palette.

    Raises:
      Exception: whatever Pillow raises of a damaged file.
    """
    if image.format == "PNG":
        image = _with_transparent_colour(image)
    image = _upright(image)
    if image.mode.startswith("I"):
        image = Image.fromarray(_upper_bits(image))
    if image.format in JPEGS and image.mode == "CMYK":
        image = _from_inks(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _with_transparent_colour(image: Any) -> Image.Image:
    """Loads a PNG; of grey and of 16 bits, the one colour that may be transparent is so.

    Its chunk tRNS gives the colour in the bits that are stored, and Pillow compares it with eight
    bits, or not at all.
    """
    colour, stored_as = image.info.get("transparency"), image.tile[0][3]
    if colour is None or image.mode not in ("L", "I;16", "RGB"):
        image.load()
        return image
    if image.mode == "L":
        image.load()
        most = 2 ** _FEWER_BITS.get(stored_as, 8) - 1
        image.info["transparency"] = (colour & most) * (255 // most)
    elif image.mode == "I;16":
        opaque = np.asarray(image) != colour
        pixels = np.stack([_upper_bits(image), np.uint8(255) * opaque], axis=-1)
        return _like(image, Image.fromarray(pixels))
    elif stored_as == "RGB":
        image.load()
        image.info["transparency"] = tuple(part & 255 for part in colour)
    else:
        # Pillow drops the lower bits, and TensorFlow compares before it does.
        image.fp.seek(0)
        contents = image.fp.read()
        image.load()
        with tf.device("cpu"):
            pixels = tf.io.decode_png(contents, channels=4).numpy()
        return _like(image, Image.fromarray(pixels))
    return image


def _like(image: Image.Image, changed: Image.Image) -> Image.Image:
    """Returns the pixels of `changed` with the format and the metadata of `image`."""
    changed.format = image.format
    changed.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return changed


def _upright(image: Image.Image) -> Image.Image:
    """Turns an image as its metadata ask for.

    Of PNG and JPEG the Exif data alone are read, as by an export and by most viewers; Pillow would
    also read XMP and ImageMagick's text chunks.
    """
    if image.format not in ("PNG", *JPEGS):
        return ImageOps.exif_transpose(image)
    image.load()
    exif = image.info.get("exif", b"")
    if image.format == "PNG":
        exif = exif.removeprefix(NAME)  # Which is not in the file, or was there already.
    turn = _TURNS.get(orientation(exif))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def _upper_bits(image: Image.Image) -> np.ndarray:
    return (np.asarray(image) >> 8).astype(np.uint8)


def _from_inks(image: Image.Image) -> Image.Image:
    """Converts a JPEG for printing to RGB, with the rounding of TensorFlow.

    Adobe stores how much paper is left, and says so by a marker; Pillow takes all files for such.
    """
    light = np.asarray(image).astype(np.uint16)
    if "adobe" in image.info:
        light = 255 - light
    return Image.fromarray((light[..., :3] * light[..., 3:] // 255).astype(np.uint8))
