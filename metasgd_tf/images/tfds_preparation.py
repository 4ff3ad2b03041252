"""Opens, prepares and reads data sets of TensorFlow Datasets, or fails at once with a sentence."""

import contextlib
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator

import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from metasgd_tf.output.listing import listed
from trainers.errors import InputError

ANY_HOST = "https://www.tensorflow.org"
"""Asked if a data set's homepage does not answer, which may no longer exist."""

PATIENCE = 10
"""Seconds in which a host should answer."""

REASON = 200
"""How many characters of a reason are given; TensorFlow's may be long."""

_RETRIES = 4
"""How often a download is tried again: within seconds, since the process lives until then."""

_NAME = re.compile(r"(\w+)(?:/(\w[\w+.-]*))?(?::([\d.*]+))?(?:/\w+=.*)?")
_TRACE = re.compile(r"\{\{.*?\}\}|\[Op:\w*\]|\[\[.*?\]\]")


def opened(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    """Returns the builder of a data set, as `tfds.builder` does.

    Args:
      name: a data set of TensorFlow Datasets, or of the directory.
      data_dir: TFDS' directory of data sets; its own default if not given.

    Raises:
      InputError: if there is no such data set, or what describes it in the directory is damaged.
    """
    with opening(name, data_dir):
        builder = tfds.builder(name, data_dir=data_dir)
    return builder


@contextlib.contextmanager
def opening(name: str, data_dir: str | None) -> Iterator[None]:
    """Has what goes wrong where a builder is made be one sentence.

    Args:
      name: the data set, with its configuration and version where they matter.
      data_dir: as for `opened`.

    Raises:
      InputError: as `opened` does.
    """
    try:
        yield
    except Exception as error:
        # A bad name, a damaged file, or a data set's own imports may raise anything.
        root = pathlib.Path(os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR))
        folder = root.joinpath(*_parts(name))
        # Found in the directory, but not readable: other errors are raised for what is not there.
        if folder != root and folder.is_dir() and any(folder.rglob("*.tfrecord*")):
            raise _damaged(root, folder, type(error).__name__) from error
        raise InputError(
            f"dataset={name}: TensorFlow Datasets has nothing of this name ({type(error).__name__}"
            "); name one of https://www.tensorflow.org/datasets/catalog, or of --data_dir"
        ) from error


def _parts(name: str) -> list[str]:
    """Returns a data set's name, configuration and version, which its folders are called by."""
    found = _NAME.fullmatch(name)
    return [part for part in found.groups() if part] if found else []


def prepare(builder: tfds.core.DatasetBuilder, by_hand: str | None = None) -> None:
    """Downloads and prepares a data set unless that has been done.

    Args:
      builder: the data set.
      by_hand: how the error message names the files that make a download unnecessary, if the user
        may put them into `downloads/manual`.

    Raises:
      InputError: if it is not prepared, and cannot be downloaded and prepared.
    """
    if builder.is_prepared():
        return
    folder = pathlib.Path(builder.data_path)
    root = folder.parents[len(builder.info.full_name.split("/")) - 1]
    manual = root / "downloads" / "manual"
    lacking: list[str] = []
    try:
        urls = _to_be_downloaded(builder, manual)
        lacking = list(urls.values())
        if urls or (not builder.url_infos and not any(manual.glob("*"))):
            # Without a network TFDS would retry for minutes.
            _ask(list(urls), builder.info.homepage)
        # Nor would the process end before its threads had retried ten times, ever more slowly.
        with _few_retries():
            builder.download_and_prepare()
    except InputError:
        raise
    except Exception as error:
        # TFDS raises whatever its downloader, a checksum or the file system raised.
        reason = type(error).__name__
        if isinstance(error, NonMatchingChecksumError):
            reason = str(error).splitlines()[0].rstrip(":")  # It names the file.
        held = "only a part of" if folder.is_dir() else "no"
        some = by_hand and lacking and len(lacking) < len(builder.url_infos or {})
        raise InputError(
            f"data_dir={root}: holds {held} prepared {builder.info.full_name}, and it could not be "
            f"downloaded or prepared ({reason}); run once with a network, or point "
            "--data_dir (or TFDS_DATA_DIR) to a directory that holds it"
            + (f", or put {by_hand} into {manual}" if by_hand else "")
            + (f", which lacks {listed(lacking)}" if some else "")
        ) from error


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    usual = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = usual


@contextlib.contextmanager
def reading(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
    """Names the data set's folder where reading its files fails.

    Raises:
      InputError: if one of them is gone, is cut off, or holds other examples than it should.
    """
    try:
        yield
    except InputError:
        raise
    except (tf.errors.OpError, OSError, ValueError) as error:
        text = str(getattr(error, "message", None) or getattr(error, "strerror", None) or error)
        reason = " ".join(_TRACE.sub(" ", text).split()).removesuffix(" name:")[:REASON]
        folder = pathlib.Path(builder.data_path)
        root = folder.parents[len(builder.info.full_name.split("/")) - 1]
        raise _damaged(root, folder, reason) from error


def _damaged(root: pathlib.Path, folder: pathlib.Path, reason: str) -> InputError:
    return InputError(
        f"data_dir={root}: the data set in {folder} is damaged ({reason}); put a whole copy in its "
        "place, or remove it and run once with a network to have it prepared anew"
    )


def _to_be_downloaded(builder: tfds.core.DatasetBuilder, manual: pathlib.Path) -> dict[str, str]:
    """Returns the addresses of files that are not in a folder, with the files' names.

    Raises:
      InputError: if one is in the folder with another size.
    """
    lacking = {}
    for url, known in (builder.url_infos or {}).items():
        file = manual / (known.filename or "")
        if not known.filename or not file.is_file():
            lacking[url] = known.filename or url
        elif file.stat().st_size != known.size:
            raise InputError(
                f"data_dir={manual.parents[1]}: {file} has {file.stat().st_size:,} bytes in place "
                f"of {int(known.size):,}; fetch it again, or remove it"
            )
    return lacking


def _ask(urls: list[str], homepage: str) -> None:
    """Raises a `requests.RequestException` if a host of these files does not answer.

    Where no addresses are known, the homepage or else `ANY_HOST` should answer.
    """
    parsed = [urllib.parse.urlsplit(url) for url in urls]
    hosts = {f"{url.scheme}://{url.netloc}" for url in parsed if url.scheme in ("http", "https")}
    if hosts:
        for host in sorted(hosts)[:3]:
            requests.head(host, timeout=PATIENCE)
        return
    try:
        requests.head(homepage, timeout=PATIENCE)
    except requests.RequestException:
        requests.head(ANY_HOST, timeout=PATIENCE)
