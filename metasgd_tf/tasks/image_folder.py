"""Few-shot classification of a folder of images, one sub-folder per class.

If the folder is divided into train, val and test, these are the splits; else the split of the
classes is drawn by a seed or read from a file.
"""

from collections.abc import Mapping, Sequence

import keras
from absl import flags

from metasgd_tf.images import class_splits
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.images.files import image_files, image_listing
from metasgd_tf.images.images_by_class import refuse_too_few
from metasgd_tf.output.listing import listed
from metasgd_tf.output.notes import note
from models.conv4 import conv4
from trainers.errors import InputError


class ImageFolder(ImageClassification):
    """Tasks from a folder of images, whose classes may differ in size."""

    def model(self, seed: int) -> keras.Model:
        """Builds four modules of strided convolutions and a linear layer."""
        return conv4(self.input_shape, self.output_size, seed)


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> ImageFolder:
    """Makes the family that the flags of a run describe, holding these splits only.

    Images of other splits are not opened.

    Raises:
      InputError: if there is no such folder, some of its files cannot be used, it is divided into
        splits but lacks one, or classes or images are too few.
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
    by_folder = image_listing.find_splits(settings.image_dir)
    division, names = None, list[str]()
    if by_folder is None:
        files = image_listing.find(settings.image_dir)
        source = f"image_dir={settings.image_dir}"
        names = list(files)
        division = class_splits.from_flags(settings, names, source)
        chosen = {split: {name: files[name] for name in division[split]} for split in splits}
    else:
        chosen = _as_they_lie(settings, splits, by_folder)
    for split, held in chosen.items():
        counts = {name: len(paths) for name, paths in held.items()}
        refuse_too_few(split, counts, settings.ways, settings.shots, settings.queries)
    total = sum(len(paths) for held in chosen.values() for paths in held.values())
    divided = ", split as its folders are" if by_folder is not None else ""
    note(f"reading {total:,} images of {settings.image_dir}{divided}")
    images = image_files.read(
        settings.image_dir, chosen, settings.image_size, settings.image_channels
    )
    family = ImageFolder(images, *sizes, train_ways=settings.train_ways)
    family.division, family.all_classes = division, names
    return family


def _as_they_lie(
    settings: flags.FlagValues,
    splits: Sequence[str],
    by_folder: Mapping[str, image_listing.Classes],
) -> dict[str, image_listing.Classes]:
    """Takes the splits from their folders.

    Raises:
      InputError: if one of them has no folder, or --class_splits is given too.
    """
    if settings.class_splits:
        raise InputError(
            f"class_splits={settings.class_splits}: image_dir={settings.image_dir} is split by its "
            f"own folders ({listed(list(by_folder))}); give it empty or not at all, or name a "
            "folder with one sub-folder of images a class"
        )
    names = image_listing.SPLIT_FOLDERS
    missing = [
        "no " + " or ".join(name for name in names if names[name] == split)
        for split in splits
        if split not in by_folder
    ]
    if missing:
        raise InputError(
            f"image_dir={settings.image_dir}: has folders for splits ({listed(list(by_folder))}), "
            f"but {' and '.join(missing)} folder, which is needed here; add it, or name a folder "
            "with one sub-folder of images a class, to have a split drawn"
        )
    return {split: by_folder[split] for split in splits}
