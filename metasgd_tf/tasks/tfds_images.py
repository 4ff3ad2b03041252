"""Few-shot classification of any data set of TensorFlow Datasets that has images and labels."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow_datasets as tfds
from absl import flags

from metasgd_tf.images import class_splits, tfds_preparation
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.images.files.image_files import decode_into
from metasgd_tf.images.images_by_class import ImagesByClass, empty, refuse_too_few
from metasgd_tf.output.listing import counted, listed
from metasgd_tf.output.notes import note
from models.conv4 import conv4
from trainers.errors import InputError

BATCH = 1024
"""How many encoded images are in memory at once."""

UNUSED = -1
"""The label of images that are left out."""


class TfdsImages(ImageClassification):
    """Tasks from the classes of a data set, whose own splits are taken together.

    An image that a class has more than once, as where splits overlap, counts once.
    """

    def model(self, seed: int) -> keras.Model:
        """Builds four modules of strided convolutions and a linear layer."""
        return conv4(self.input_shape, self.output_size, seed)


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> TfdsImages:
    """Makes the family that the flags of a run describe, holding these splits only.

    Images are decoded as those of a folder, by `image_files.decode`. Those without a label (−1)
    are left out.

    Raises:
      InputError: if there is no such data set, it cannot be prepared or read, it does not have the
        features `image` and `label`, or its classes or images are too few.
    """
    sizes = settings.ways, settings.shots, settings.queries
    shape = (settings.image_size, settings.image_size, settings.image_channels)
    if not splits:
        return TfdsImages({}, *sizes, input_shape=shape)
    source = f"dataset={settings.dataset}"
    builder = _builder(settings.dataset, settings.data_dir)
    _refuse_other_features(builder, source)
    tfds_preparation.prepare(
        builder,
        f"what {builder.info.homepage} asks for" if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else None,
    )
    labels = _labels(builder, source)
    names = builder.info.features["label"].names
    numbers, counts = np.unique([label for label in labels if label >= 0], return_counts=True)
    count_of = {names[number]: int(count) for number, count in zip(numbers, counts, strict=True)}
    classes = class_splits.from_flags(settings, list(count_of), source)
    chosen = {split: {name: count_of[name] for name in classes[split]} for split in splits}
    for split, held in chosen.items():
        refuse_too_few(split, held, settings.ways, settings.shots, settings.queries)
    note(f"reading {sum(sum(held.values()) for held in chosen.values()):,} images of {source}")
    images = {
        split: ImagesByClass(empty([sum(held.values()), *shape]), tuple(held.values()), tuple(held))
        for split, held in chosen.items()
    }
    _fill(images, builder, labels, source)
    family = TfdsImages(images, *sizes, train_ways=settings.train_ways)
    family.division, family.all_classes = classes, list(count_of)
    return family


def _labels(builder: tfds.core.DatasetBuilder, source: str) -> list[int]:
    """Returns the label of each example, or −1 where its class has had the same image before.

    Splits may overlap, as Omniglot's `small1` lies in `train`, and a task's queries should not be
    among its support images.
    """
    seen: set[tuple[int, bytes]] = set()
    labels: list[int] = []
    for batch in _batches(builder, "image", "label"):
        for image, label in zip(batch["image"], map(int, batch["label"]), strict=True):
            one = label, hashlib.blake2b(image, digest_size=16).digest()
            labels.append(UNUSED if one in seen else label)
            seen.add(one)
    repeated = len(labels) - len(seen)
    if repeated:
        note(f"{source}: left out {counted(repeated, 'image')} that the class has already")
    return labels


def _builder(name: str | None, data_dir: str | None) -> tfds.core.DatasetBuilder:
    if name is None:
        raise InputError(
            "dataset: --task=tfds_images needs it; name a data set of TensorFlow Datasets, such as "
            "cifar100"
        )
    return tfds_preparation.opened(name, data_dir)


def _refuse_other_features(builder: tfds.core.DatasetBuilder, source: str) -> None:
    found = builder.info.features
    features = dict(found.items()) if isinstance(found, tfds.features.FeaturesDict) else {}
    image, label = (features.get(name) for name in ("image", "label"))
    if not (
        isinstance(image, tfds.features.Image)
        and image.np_dtype in (np.uint8, np.uint16)
        and isinstance(label, tfds.features.ClassLabel)
    ):
        names = listed(list(features)) or "none"
        raise InputError(
            f"{source}: has features {names}, and not an `image` of bytes with its class as "
            "`label`; name a data set for the classification of images"
        )


def _batches(builder: tfds.core.DatasetBuilder, *features: str) -> Iterator[dict[str, np.ndarray]]:
    """Yields features of all examples, always in the same order; images stay encoded.

    Raises:
      InputError: if the files are damaged.
    """
    decoders = {"image": tfds.decode.SkipDecoding()}
    dataset = builder.as_dataset(
        split="+".join(builder.info.splits),
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True), decoders=decoders),
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    with tfds_preparation.reading(builder):
        yield from dataset.batch(BATCH).as_numpy_iterator()


def _fill(
    splits: Mapping[str, ImagesByClass],
    builder: tfds.core.DatasetBuilder,
    labels: Sequence[int],
    source: str,
) -> None:
    """Decodes each example into the next free place of its class, if that is in one of `splits`."""
    label_of = builder.info.features["label"].str2int
    places = {}
    for images, counts, names in splits.values():
        for name, end, count in zip(names, np.cumsum(counts), counts, strict=True):
            places[label_of(name)] = iter(images[end - count : end])
    problems: list[str] = []
    start = 0
    for examples in _batches(builder, "image"):
        batch = examples["image"]
        chosen = [n for n in range(len(batch)) if labels[start + n] in places]
        refusals = decode_into(
            [next(places[labels[start + n]]) for n in chosen],
            [io.BytesIO(batch[n]) for n in chosen],
        )
        problems += [
            f"number {start + n} ({reason})"
            for n, reason in zip(chosen, refusals, strict=True)
            if reason
        ]
        start += len(batch)
    if problems:
        raise InputError(
            f"{source}: images that cannot be used: {listed(problems)}; name another data set"
        )
