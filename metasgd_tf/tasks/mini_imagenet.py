"""Few-shot classification of photographs (Li et al. 2017, Table 3)."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from metasgd_tf.images import mini_imagenet
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.images.files import encoded_images
from metasgd_tf.images.images_by_class import ImagesByClass
from models.conv4 import conv4_pooled_32

VALIDATION_CLASSES = 16


class MiniImagenetTasks(ImageClassification):
    """Photographs of MiniImagenet: 64 classes for training, 16 for validation, 20 for the test."""

    def model(self, seed: int) -> keras.Model:
        """Builds the papers' network for MiniImagenet."""
        return conv4_pooled_32(self.input_shape, self.output_size, seed)

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes a photograph to [84, 84, 3] (uint8)."""
        return mini_imagenet.resize(encoded_images.decode(encoded))

    def ways_of(self, split: str) -> int:
        """Returns the number of classes per task; at most 16 in validation, which has no more.

        The network has `ways` outputs there too, so in 20-way tasks some are never right.
        """
        return min(self.ways, VALIDATION_CLASSES) if split == "validation" else self.ways


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> MiniImagenetTasks:
    """Makes the family that the flags of a run describe, holding these splits only.

    Raises:
      InputError: if the data set is not prepared and cannot be, or is incomplete.
    """
    sizes = settings.ways, settings.shots, settings.queries
    if not splits:
        return MiniImagenetTasks(
            {}, *sizes, input_shape=(mini_imagenet.SIDE, mini_imagenet.SIDE, 3)
        )
    loaded = mini_imagenet.load(
        settings.data_dir, splits, settings.manual_dir, settings.allow_incomplete
    )
    images = {
        split: ImagesByClass(
            held.images,
            tuple(np.bincount(held.labels, minlength=len(held.class_names)).tolist()),
            held.class_names,
        )
        for split, held in loaded.items()
    }
    return MiniImagenetTasks(images, *sizes, train_ways=settings.train_ways)
