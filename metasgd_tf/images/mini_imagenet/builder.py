"""MiniImagenet as a builder of TensorFlow Datasets."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from metasgd_tf.images.files import encoded_images
from metasgd_tf.images.mini_imagenet import layouts
from metasgd_tf.images.mini_imagenet.contents import Contents, complete
from metasgd_tf.images.mini_imagenet.layouts import ImageEntry
from trainers.errors import InputError

SIDE = 84
UNREADABLE = "images that cannot be read or decoded"


class MiniImagenet(tfds.core.GeneratorBasedBuilder):
    """Mini-ImageNet: 100 classes of ILSVRC-2012, 600 images of each, 84 × 84 pixels.

    The classes are split into 64 for training, 16 for validation and 20 for the test as by Ravi and
    Larochelle (2017). Labels 0 to 63 are those of training, then come the others; their names are
    WordNet ids. Importing this module registers `mini_imagenet`.

    The configuration `complete`, which is the default, has all 60,000 images or cannot be prepared.
    `incomplete` has whichever images there are, in a directory of its own.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="complete", description="All 600 images of each class."),
        tfds.core.BuilderConfig(name="incomplete", description="Whatever images there are."),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "complete"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir, or a folder mini_imagenet in it, should hold one of these:
    - images/ with all images, and Ravi and Larochelle's train.csv, val.csv and test.csv;
    - train/, val/ and test/, each with a folder of 600 images for each class;
    - ILSVRC-2012's training set (a folder or a tar for each class, or ILSVRC2012_img_train.tar),
      and the three CSV files.
    The CSV files are in github.com/twitter-research/meta-learning-lstm; ILSVRC-2012 is at
    image-net.org, under its terms.
    """

    @property
    def contents(self) -> Contents:
        """What the complete data set contains."""
        return complete()

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Mini-ImageNet (Vinyals et al. 2016) with the classes and splits of Ravi and "
                f"Larochelle (2017). Images are resized to {SIDE} × {SIDE} pixels without regard "
                "to their shape, by an antialiased Lanczos filter of radius 3, and kept as PNG."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIDE, SIDE, 3), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=self.contents.names),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://openreview.net/forum?id=rJY0-Kcll",
            citation=(
                "@inproceedings{ravi2017optimization, title={Optimization as a Model for Few-Shot "
                "Learning}, author={Ravi, Sachin and Larochelle, Hugo}, "
                "booktitle={International Conference on Learning Representations}, year={2017}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        manual_dir = pathlib.Path(os.fspath(dl_manager.manual_dir))
        found = layouts.find(manual_dir, self.contents)
        splits = {split: images for split, images in found.images.items() if images}
        if not splits:
            raise InputError(
                f"manual_dir={manual_dir}: holds none of the images; put them there or name the "
                "directory that has them"
            )
        if found.lacking:
            # Logged at once, since reading all images takes minutes.
            logging.warning("%s", _incomplete(manual_dir, found.lacking))
        unreadable: list[str] = []
        # Splits are written one after the other, so the last one knows the unreadable files of all.
        generators = {
            split: self._generate_examples(images, unreadable) for split, images in splits.items()
        }
        last = list(splits)[-1]
        generators[last] = self._reporting_at_the_end(
            generators[last], manual_dir, found.lacking, unreadable
        )
        return generators

    def _generate_examples(
        self, entries: list[ImageEntry], unreadable: list[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for entry in entries:
            try:
                image = shrink(entry.stored.read())
            except (OSError, tf.errors.InvalidArgumentError) as error:
                unreadable.append(f"{entry.stored} ({_reason(error)})")
                continue
            yield (
                f"{entry.label}/{entry.name}",
                {"image": image, "label": entry.label, "file_name": entry.name},
            )

    def _reporting_at_the_end(
        self,
        examples: Iterator[tuple[str, dict[str, Any]]],
        manual_dir: pathlib.Path,
        lacking: dict[str, list[str]],
        unreadable: list[str],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the examples, then refuses an incomplete set or logs its unreadable files.

        Raises:
          InputError: after the last example, if the set is incomplete and has to be complete.
        """
        yield from examples
        undecoded = {UNREADABLE: unreadable} if unreadable else {}
        if self.builder_config.name != "incomplete" and (lacking or undecoded):
            raise InputError(
                f"{_incomplete(manual_dir, lacking | undecoded)}; complete it, or ask for "
                "mini_imagenet/incomplete (allow_incomplete=True)"
            )
        if undecoded:
            logging.warning("%s", _incomplete(manual_dir, undecoded))


def _incomplete(manual_dir: pathlib.Path, lacking: dict[str, list[str]]) -> str:
    return (
        f"manual_dir={manual_dir}: mini-ImageNet is incomplete there: {layouts.complaint(lacking)}"
    )


def shrink(encoded: bytes) -> np.ndarray:
    """Decodes an image as an export does and resizes it to 84 × 84 pixels, whatever its shape.

    It is turned upright, and transparent pixels are composited over white. The filter is Lanczos
    with radius 3 and antialiasing, as in the script that made MAML's images. An image of 84 × 84
    pixels stays as it is.

    Args:
      encoded: an image as JPEG or PNG, grey or in colour.

    Returns:
      [84, 84, 3], uint8.

    Raises:
      tf.errors.InvalidArgumentError: if it is no PNG or JPEG, is damaged, or has too few or too
        many pixels.
    """
    return _shrunk()(encoded).numpy()


@functools.cache
def _shrunk() -> Callable[[bytes], tf.Tensor]:
    """Returns what `shrink` does as a graph, which takes a small part of the time."""

    def shrunk(encoded: tf.Tensor) -> tf.Tensor:
        with tf.device("cpu"):
            return resize(encoded_images.decode(encoded))

    return tf.function(shrunk, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def resize(image: tf.Tensor) -> tf.Tensor:
    """Resizes [height, width, 3] (uint8) to [84, 84, 3] (uint8) as `shrink` does."""

    def resized() -> tf.Tensor:
        small = tf.image.resize(image, (SIDE, SIDE), "lanczos3", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(small), 0.0, 255.0), tf.uint8)

    fits = tf.reduce_all(tf.equal(tf.shape(image)[:2], SIDE))
    return tf.ensure_shape(tf.cond(fits, lambda: image, resized), (SIDE, SIDE, 3))


def _reason(error: OSError | tf.errors.InvalidArgumentError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return encoded_images.refusal(error)
