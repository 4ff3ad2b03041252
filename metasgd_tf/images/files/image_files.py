"""Decodes image files in parallel, and reports those that cannot be used."""

import concurrent.futures
import contextlib
import io
import pathlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from metasgd_tf.images.files.plain_pixels import plain
from metasgd_tf.images.images_by_class import ImagesByClass, empty
from metasgd_tf.output.listing import listed
from trainers.devices import cores
from trainers.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
NAMED = "PNG, JPEG, BMP, GIF, WebP or TIFF"
SERVED = (b"\x89PNG", b"\xff\xd8\xff")
"""The first bytes of the files that an export decodes: PNG and JPEG."""

MIN_SIDE = 8
MAX_PIXELS = 2**26
"""More than cameras have; a small file may claim many more, and decoding it would fill memory."""


class UnusableImageError(ValueError):
    """A file is not a usable image; the message says why, without the file's name."""


def read(
    image_dir: str,
    splits: Mapping[str, Mapping[str, Sequence[pathlib.Path]]],
    size: int,
    channels: int,
) -> dict[str, ImagesByClass]:
    """Decodes the images of some splits, as `decode` does.

    Args:
      image_dir: the folder that they are in.
      splits: for each split, the files of each class.
      size: height and width of the decoded images.
      channels: 1 or 3.

    Returns:
      The images of each split.

    Raises:
      InputError: if some files cannot be used; it is raised after all files have been tried.
    """
    by_split, problems = {}, []
    for split, classes in splits.items():
        paths = [path for files in classes.values() for path in files]
        images = empty([len(paths), size, size, channels])
        problems += [
            f"{path.relative_to(image_dir)} ({reason})"
            for path, reason in zip(paths, decode_into(images, paths), strict=True)
            if reason
        ]
        counts = tuple(len(files) for files in classes.values())
        by_split[split] = ImagesByClass(images, counts, tuple(classes))
    if problems:
        raise InputError(
            f"image_dir={image_dir}: files that cannot be used: {listed(problems)}; repair them or "
            "take them out"
        )
    return by_split


def decode_into(
    places: Iterable[np.ndarray], files: Iterable[pathlib.Path | BinaryIO]
) -> Iterator[str | None]:
    """Decodes files in parallel, each into its array [size, size, channels] (uint8).

    Yields:
      For each file, None or what is wrong with it.
    """

    def fill(place: np.ndarray, file: pathlib.Path | BinaryIO) -> str | None:
        try:
            place[:] = decode(file, *place.shape[1:])
        except UnusableImageError as error:
            return str(error)
        return None

    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        # Pillow warns about files that it decodes all the same, and sizes that `decode` refuses.
        warnings.simplefilter("ignore")
        yield from pool.map(fill, places, files)


def decode(file: pathlib.Path | BinaryIO, size: int, channels: int) -> np.ndarray:
    """Decodes a PNG, JPEG, BMP, GIF, WebP or TIFF and resizes it to a square.

    * Of several frames or pages, the first is used.
    * The image is turned upright if its metadata give an orientation; of a PNG or JPEG, its Exif
      data.
    * Of 16 bits, the upper eight are kept. Colour profiles and gamma are not applied.
    * Transparent pixels are composited over white.
    * Colours become grey by the weights of ITU-R 601-2, and grey is repeated for three channels.
    * Both sides are resized to `size`, whatever their ratio; when shrinking, a pixel is the mean of
      all that it covers, weighted by a triangle.

    Args:
      file: a path, or an open file.
      size: height and width of the result.
      channels: 1 or 3.

    Returns:
      [size, size, channels], uint8.

    Raises:
      UnusableImageError: if the file cannot be read or decoded, is of another format, or has too
        few or too many pixels.
    """
    with _opened(file) as image:
        # A JPEG is decoded at a fraction of its size, at least twice the one that is needed.
        image.draft(None, (2 * size, 2 * size))
        converted = plain(image).convert("L" if channels == 1 else "RGB")
    resized = converted.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(size, size, channels)


def png_or_jpeg(file: pathlib.Path) -> bytes:
    """Returns an image file as PNG or JPEG, which is what an export takes.

    Args:
      file: a path.

    Returns:
      The bytes of a PNG or JPEG file as they are, unchecked; for another format, the bytes of a PNG
      that `decode` decodes to the same image.

    Raises:
      UnusableImageError: if it cannot be read, or is of another format and cannot be used.
    """
    try:
        contents = file.read_bytes()
    except OSError as error:
        raise UnusableImageError(f"cannot be read: {error.strerror}") from error
    if contents.startswith(SERVED):
        return contents
    encoded = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _opened(io.BytesIO(contents)) as image:
            plain(image).convert("RGB").save(encoded, "PNG")
    return encoded.getvalue()


@contextlib.contextmanager
def _opened(file: pathlib.Path | BinaryIO) -> Iterator[Image.Image]:
    """Opens an image and checks its size and its kind of samples.

    Raises:
      UnusableImageError: in place of any exception until the image is closed.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(*image.size)
            _check_samples(image)
            yield image
    except UnusableImageError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnusableImageError(f"no {NAMED} that can be read") from error
    except Image.DecompressionBombError as error:
        raise UnusableImageError(f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        # Pillow's parsers raise many kinds of exceptions.
        if isinstance(error, OSError) and error.strerror:
            raise UnusableImageError(f"cannot be read: {error.strerror}") from error
        raise UnusableImageError(f"damaged: {error}") from error


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise UnusableImageError(f"{width} × {height} pixels, smaller than {MIN_SIDE} × {MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise UnusableImageError(f"{width} × {height} pixels, more than {MAX_PIXELS:,} together")


def _check_samples(image: Image.Image) -> None:
    """Refuses a TIFF whose samples have no known black and white level, or none known to Pillow."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    bits = image.tag_v2.get(ExifTags.Base.BitsPerSample)
    black_is_zero = image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 1
    is_sixteen = image.mode.startswith("I;16") and bits == (16,) and black_is_zero
    if image.mode == "LAB" or (image.mode[0] in "IF" and not is_sixteen):
        raise UnusableImageError(
            "a TIFF of floating-point or other numbers; convert it to 8 or 16 bits, grey or RGB"
        )
