"""Image files of a folder: found, decoded side by side, and named where they cannot be used."""

import concurrent.futures
import os
import pathlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from metasgd_tf.images.images_by_class import ImagesByClass, empty
from metasgd_tf.output.listing import listed
from trainers.devices import cores
from trainers.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "GIF")
MIN_SIDE = 8
MAX_PIXELS = 2**26
"""More than any camera's; a small file may claim many more, and decoding it would fill memory."""

LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")
"""What file managers leave in folders; all else of that kind has a name that begins with a dot."""


class UnusableImageError(ValueError):
    """A file is no usable image; the message says what it is instead, without its name."""


def find(image_dir: str, flag: str = "image_dir") -> dict[str, list[pathlib.Path]]:
    """Lists the files of each class, both in the order of their names.

    A class is a sub-folder. Files beside the classes are left alone, and so is what file managers
    leave and what a dot hides.

    Args:
      image_dir: the folder with the sub-folders.
      flag: what errors call it.

    Raises:
      InputError: if it cannot be read, has no sub-folders, or one of them has no files or has
        folders of its own.
    """
    try:
        found = {
            folder.name: visible(folder.path) for folder in visible(image_dir) if folder.is_dir()
        }
        wrong = [f"{name} has no files" for name, entries in found.items() if not entries]
        wrong += [
            f"{name}/{entry.name} is a folder"
            for name, entries in found.items()
            for entry in entries
            if entry.is_dir()
        ]
    except OSError as error:
        raise InputError(
            f"{flag}={image_dir}: {error.filename} cannot be read ({error.strerror}); name a "
            "folder with one sub-folder of images a class"
        ) from error
    if not found:
        raise InputError(
            f"{flag}={image_dir}: has no sub-folders; each class's images should lie in one"
        )
    if wrong:
        raise InputError(
            f"{flag}={image_dir}: each of its folders should be a class with nothing but "
            f"images in it, but {listed(wrong)}"
        )
    return {name: [pathlib.Path(entry) for entry in found[name]] for name in found}


def visible(folder: str) -> list[os.DirEntry[str]]:
    """Returns what lies in a folder by name, without what a dot hides and file managers leave."""
    with os.scandir(folder) as entries:
        kept = [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.name.lower() not in LEFT_BY_SYSTEMS
        ]
    return sorted(kept, key=lambda entry: entry.name)


def read(
    image_dir: str,
    splits: Mapping[str, Mapping[str, Sequence[pathlib.Path]]],
    size: int,
    channels: int,
) -> dict[str, ImagesByClass]:
    """Decodes the files of some splits' classes, as `decode` does.

    Args:
      image_dir: the folder that they are from.
      splits: for each split the files of its classes.
      size: height and width that the images get.
      channels: 1 or 3.

    Raises:
      InputError: if there are files that cannot be used; all are found before it is raised.
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
    """Decodes files side by side, each into its place [size, size, channels].

    Yields:
      For each file None, or what is wrong with it.
    """

    def fill(place: np.ndarray, file: pathlib.Path | BinaryIO) -> str | None:
        try:
            place[:] = decode(file, *place.shape[1:])
        except UnusableImageError as error:
            return str(error)
        return None

    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        # Pillow warns of much that it decodes nevertheless, and of sizes that `decode` refuses.
        warnings.simplefilter("ignore")
        yield from pool.map(fill, places, files)


def decode(file: pathlib.Path | BinaryIO, size: int, channels: int) -> np.ndarray:
    """Decodes a PNG, JPEG, BMP or GIF (its first frame) to a square of any content.

    * An image that says which side is up is turned so.
    * Of 16 bits the upper eight are kept.
    * What is transparent is laid over white.
    * Colours become grey by the weights of ITU-R 601-2, and grey is repeated for three channels.
    * Sides are stretched to `size`; where they shrink, a pixel is the mean over all that it covers,
      weighted by a triangle.

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
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(*image.size)
            # A JPEG is decoded at a fraction of its size, at least twice the one that is needed.
            image.draft(None, (2 * size, 2 * size))
            return _square(image, size, channels)
    except UnusableImageError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnusableImageError("no PNG, JPEG, BMP or GIF") from error
    except Image.DecompressionBombError as error:
        raise UnusableImageError(f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        # Pillow raises whatever its many parsers did.
        if isinstance(error, OSError) and error.strerror:
            raise UnusableImageError(f"cannot be read: {error.strerror}") from error
        raise UnusableImageError(f"damaged: {error}") from error


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise UnusableImageError(f"{width} × {height} pixels, smaller than {MIN_SIDE} × {MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise UnusableImageError(f"{width} × {height} pixels, more than {MAX_PIXELS:,} together")


def _square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)
