"""Loads MiniImagenet into memory."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from metasgd_tf.images.images_by_class import empty
from metasgd_tf.images.mini_imagenet.builder import SIDE, MiniImagenet
from metasgd_tf.images.tfds_preparation import opening, reading
from trainers.errors import InputError

BATCH = 256


class LabelledImages(NamedTuple):
    """The images of a split, class by class.

    Attributes:
      images: [count, 84, 84, 3], uint8.
      labels: [count], int64, ascending: indices into `class_names`.
      class_names: the WordNet ids of the classes that have images.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]


def load(
    data_dir: str | None,
    splits: Sequence[str],
    manual_dir: str | None = None,
    allow_incomplete: bool = False,
) -> dict[str, LabelledImages]:
    """Loads splits into memory, and prepares the data set first if that has not been done.

    Besides the images themselves (813 MB for training) it needs the memory of a few batches.

    Args:
      data_dir: TFDS' directory of data sets; its own default if not given.
      splits: any of train, validation and test.
      manual_dir: the folder to prepare it from; `downloads/manual` in `data_dir` if not given.
      allow_incomplete: whether to use, and if necessary prepare, a data set that lacks some images.
        It is stored apart from the complete one.

    Returns:
      The images of each split, in the order of Ravi and Larochelle's classes. A class without
      images is left out.

    Raises:
      InputError: if there is no such split, it is not prepared and cannot be, or its files are
        damaged.
    """
    config = "incomplete" if allow_incomplete else "complete"
    with opening(f"mini_imagenet/{config}", data_dir):
        builder = MiniImagenet(data_dir=data_dir, config=config)
    known = builder.contents.classes
    for split in splits:
        if split not in known:
            raise InputError(f"splits={split}: should be among {', '.join(known)}")
    if not builder.is_prepared():
        _prepare(builder, manual_dir)
    return {split: _read(builder, split) for split in splits}


def _prepare(builder: MiniImagenet, manual_dir: str | None) -> None:
    root, name = builder.data_dir_root, builder.info.full_name
    source = pathlib.Path(os.path.expanduser(manual_dir or root / "downloads" / "manual"))
    if not source.is_dir():
        raise InputError(
            f"data_dir={root}: holds no prepared {name}, and manual_dir={source}, from which to "
            "prepare it, is not there; put the images there or name the directory that has them"
        )
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=source, try_download_gcs=False)
        )
    except InputError:
        raise
    except Exception as error:
        # TFDS raises whatever its writer or the file system raised.
        raise InputError(
            f"data_dir={root}: {name} could not be prepared there from manual_dir={source} "
            f"({type(error).__name__}: {error}); see that the one can be written to and the other "
            "be read"
        ) from error


def _read(builder: MiniImagenet, split: str) -> LabelledImages:
    if split not in builder.info.splits:
        raise InputError(
            f"splits={split}: {builder.data_dir} was prepared from a source without any of its "
            "images; prepare it anew from one that has some"
        )
    labels = np.concatenate(list(_batches(builder, split, "label")))
    order = np.argsort(labels, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    images = empty([len(order), SIDE, SIDE, 3])
    start = 0
    for batch in _batches(builder, split, "image"):
        images[places[start : start + len(batch)]] = batch
        start += len(batch)
    present, within_split = np.unique(labels[order], return_inverse=True)
    names = builder.info.features["label"].names
    return LabelledImages(images, within_split, tuple(names[label] for label in present))


def _batches(builder: MiniImagenet, split: str, feature: str) -> Iterator[np.ndarray]:
    """Yields one feature of all images, batch by batch and always in the same order."""
    dataset = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding({feature: True}),
        # TFDS would keep a small split in memory a second time.
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    with reading(builder):
        for batch in dataset.batch(BATCH).as_numpy_iterator():
            yield batch[feature]
