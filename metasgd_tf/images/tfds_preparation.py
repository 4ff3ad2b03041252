"""Data sets of TensorFlow Datasets: prepared already, downloaded now, or refused at once."""

import pathlib

import requests
import tensorflow_datasets as tfds

from trainers.errors import InputError

ANY_HOST = "https://www.tensorflow.org"
"""Asked where a data set's own page does not answer, which may have gone."""


def prepare(builder: tfds.core.DatasetBuilder, files: str, by_hand: str | None = None) -> None:
    """Sees to it that a data set can be read.

    Args:
      builder: the data set.
      files: pattern of the names of files that spare the download, in `downloads/manual`.
      by_hand: what these files are called in a sentence, if a person may put them there.

    Raises:
      InputError: if it is not prepared, and cannot be downloaded and prepared.
    """
    if builder.is_prepared():
        return
    root = pathlib.Path(builder.data_path).parents[len(builder.info.full_name.split("/")) - 1]
    manual = root / "downloads" / "manual"
    try:
        if not any(manual.glob(files)):
            # Without a network TFDS would try again and again for minutes.
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
    """Raises what `requests` does where neither a page nor any other answers."""
    try:
        requests.head(homepage, timeout=10)
    except requests.RequestException:
        requests.head(ANY_HOST, timeout=10)
