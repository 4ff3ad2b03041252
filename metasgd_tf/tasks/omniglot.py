"""Few-shot classification of handwritten characters (Li et al. 2017, Table 2)."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags

from metasgd_tf.images import encoded_images, tfds_preparation
from metasgd_tf.images.classification import ImageClassification
from models.conv4 import conv4

CHARACTERS = 1623
META_TRAINING = 1200
VALIDATION = 100
SIDE = 28


class Omniglot(ImageClassification):
    """Characters of Omniglot: 1,100 for training, 100 for validation and 423 for the test.

    Each character's rotations by 90°, 180° and 270° are further classes in training.
    """

    def model(self, seed: int) -> keras.Model:
        """Builds MAML's network for Omniglot."""
        return conv4(self.input_shape, self.output_size, seed)

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes a drawing, dark on light, to [28, 28, 1] with ink 255 on paper 0 (uint8)."""
        return shrink(encoded_images.decode(encoded))


def split_characters(split_seed: int) -> dict[str, np.ndarray]:
    """Returns the label numbers of each split, a partition of all 1,623 characters."""
    order = np.random.default_rng(split_seed).permutation(CHARACTERS)
    return {
        "train": order[VALIDATION:META_TRAINING],
        "validation": order[:VALIDATION],
        "test": order[META_TRAINING:],
    }


def with_rotations(drawings: np.ndarray) -> np.ndarray:
    """Returns the classes [C, ...] and their rotations by 90°, 180° and 270°, [4 C, ...].

    Args:
      drawings: [classes, drawings, height, width, channels], height and width equal.
    """
    return np.concatenate([np.rot90(drawings, turns, axes=(2, 3)) for turns in range(4)])


def load_drawings(data_dir: str | None) -> np.ndarray:
    """Loads all of Omniglot through TensorFlow Datasets.

    Args:
      data_dir: TFDS' directory of data sets; its own default if not given.

    Returns:
      [1623 characters, 20 drawings, 28, 28, 1], uint8, ink 255 on paper 0.

    Raises:
      InputError: if the data is not there and cannot be downloaded, or is damaged.
    """
    builder = tfds_preparation.opened("omniglot", data_dir)
    tfds_preparation.prepare(builder, "Omniglot's four zips")
    # The three channels are equal, and decoding one is a third of the work.
    encoded = {"image": tfds.decode.SkipDecoding()}

    @tf.autograph.experimental.do_not_convert
    def decoded(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return shrink(tf.io.decode_png(example["image"], channels=1)), example["label"]

    with tfds_preparation.reading(builder):
        dataset = builder.as_dataset(split="train+test", decoders=encoded)
        small = dataset.map(decoded, num_parallel_calls=tf.data.AUTOTUNE).batch(4096)
        parts = list(small.as_numpy_iterator())
        images = np.concatenate([images for images, _ in parts])
        labels = np.concatenate([labels for _, labels in parts])
        by_label = images[np.argsort(labels, kind="stable")]
        return by_label.reshape(CHARACTERS, -1, SIDE, SIDE, 1)


def shrink(image: tf.Tensor) -> tf.Tensor:
    """Shrinks and inverts an image of a drawing, to the size that the papers use.

    Args:
      image: [height, width, channels], uint8; Omniglot's files have ink 0 on paper 255, in all
        channels.

    Returns:
      [28, 28, 1], uint8, with ink 255 on paper 0.
    """
    ink = tf.bitwise.invert(image[..., :1])  # 255 − value.
    small = tf.image.resize(ink, (SIDE, SIDE), method=tf.image.ResizeMethod.AREA)
    return tf.cast(tf.round(small), tf.uint8)


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> Omniglot:
    """Makes the family that the flags of a run describe, holding these splits only."""
    sizes = settings.ways, settings.shots, settings.queries
    if not splits:
        return Omniglot({}, *sizes, input_shape=(SIDE, SIDE, 1))
    drawings = load_drawings(settings.data_dir)
    characters = split_characters(settings.split_seed)
    images = {split: drawings[characters[split]] for split in splits}
    if "train" in images:
        images["train"] = with_rotations(images["train"])
    return Omniglot(images, *sizes, train_ways=settings.train_ways)
