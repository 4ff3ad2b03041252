"""Prepares data sets of TensorFlow Datasets, or fails at once where that is not possible."""

import pathlib

import requests
import tensorflow_datasets as tfds

from trainers.errors import InputError

ANY_HOST = "https://www.tensorflow.org"
"""Asked if a data set's homepage does not answer, which may no longer exist."""


def prepare(builder: tfds.core.DatasetBuilder, files: str, by_hand: str | None = None) -> None:
    """Downloads and prepares a data set unless that has been done.

    Args:
      builder: the data set.
      files: glob pattern of files in `downloads/manual` that make a download unnecessary.
      by_hand: how the error message names these files, if the user may put them there.

    Raises:
      InputError: if it is not prepared, and cannot be downloaded and prepared.
    """
    if builder.is_prepared():
        return
    root = pathlib.Path(builder.data_path).parents[len(builder.info.full_name.split("/")) - 1]
    manual = root / "downloads" / "manual"
    try:
        if not any(manual.glob(files)):
            # Without a network TFDS would retry for minutes.
            _ask(builder.info.homepage)
        builder.download_and_prepare()
    except Exception as error:
        # TFDS raises whatever its downloader, a checksum or the file system raised.
        raise InputError(
            f"data_dir={root}: holds no prepared {builder.info.full_name}, and it could not be "
            f"downloaded or prepared ({type(error).__name__}); run once with a network, or point "
            "--data_dir (or TFDS_DATA_DIR) to a directory that holds it"
            + (f", or put {by_hand} into {manual}" if by_hand else "")
        ) from error


def _ask(homepage: str) -> None:
    """Raises a `requests.RequestException` if neither a homepage nor `ANY_HOST` answers."""
    try:
        requests.head(homepage, timeout=10)
    except requests.RequestException:
        requests.head(ANY_HOST, timeout=10)
