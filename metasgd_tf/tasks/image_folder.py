"""Few-shot classification of a folder of images, one sub-folder a class."""

from collections.abc import Sequence

import keras
from absl import flags

from metasgd_tf.images import class_splits, image_files
from metasgd_tf.images.classification import ImageClassification, refuse_too_few
from metasgd_tf.output.progress import note
from models.conv4 import conv4
from trainers.errors import InputError


class ImageFolder(ImageClassification):
    """Classes of one's own, as unequal in size as they are."""

    def model(self, seed: int) -> keras.Model:
        """Builds four modules of strided convolutions and a linear layer."""
        return conv4(self.input_shape, self.output_size, seed)


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> ImageFolder:
    """Makes the family that the flags of a run describe, holding these splits only.

    Images of other splits are not opened.

    Raises:
      InputError: if there is no such folder, its files cannot be used, or its classes or images
        are too few.
    """
    sizes = settings.ways, settings.shots, settings.queries
    if not splits:
        shape = (settings.image_size, settings.image_size, settings.image_channels)
        return ImageFolder({}, *sizes, input_shape=shape)
    if settings.image_dir is None:
        raise InputError(
            "image_dir: --task=image_folder needs it; name a folder with one sub-folder of "
            "images a class"
        )
    files = image_files.find(settings.image_dir)
    classes = class_splits.from_flags(settings, list(files), f"image_dir={settings.image_dir}")
    chosen = {split: {name: files[name] for name in classes[split]} for split in splits}
    for split, held in chosen.items():
        counts = {name: len(paths) for name, paths in held.items()}
        refuse_too_few(split, counts, settings.ways, settings.shots, settings.queries)
    total = sum(len(paths) for held in chosen.values() for paths in held.values())
    note(f"reading {total:,} images of {settings.image_dir}")
    images = image_files.read(
        settings.image_dir, chosen, settings.image_size, settings.image_channels
    )
    return ImageFolder(images, *sizes)
