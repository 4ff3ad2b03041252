"""Few-shot classification of handwritten characters (Li et al. 2017, Table 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags

from metasgd_tf.images import alphabets, tfds_preparation
from metasgd_tf.images.classification import ImageClassification, largest
from metasgd_tf.images.distortions import Distortions
from metasgd_tf.images.files import encoded_images
from metasgd_tf.images.ink import SIDE, shrink
from models.conv4 import conv4
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform

CHARACTERS = 1623
META_TRAINING = 1200
VALIDATION = 100
TURNS = 4
"""How many rotations a character has, its upright form among them."""


class Omniglot(ImageClassification):
    """Characters of Omniglot: by default 1,100 to train, 100 for validation, 423 for the test.

    Tasks of more than 100 ways take further characters from training to validation. Each
    character's rotations by 90°, 180° and 270° are further classes in training.

    Tasks of validation and test may be drawn in other ways, which have names of their own:

    * `within_alphabet`: all characters of a task are of one alphabet.
    * `maml`, as in the published code of MAML (Finn et al. 2017): each character of a task is
      turned by a random multiple of 90°, and there are as many queries as shots.
    """

    ink_is_one = True

    def __init__(
        self,
        images: Mapping[str, Any],
        ways: int,
        shots: int,
        queries: int,
        *,
        within: Mapping[str, np.ndarray] | None = None,
        as_maml: bool = False,
        together: np.ndarray | None = None,
        **options: Any,
    ):
        """Takes the drawings and the sizes of episodes, see `ImageClassification`.

        Args:
          images: the drawings of each split, for `as_maml` with their rotations.
          ways: classes per task.
          shots: support images per class.
          queries: query images per class in training.
          within: the alphabet of each character of validation and test, upright ones alone, if the
            characters of a task should be of one.
          as_maml: whether validation and test are as in the published code of MAML.
          together: the group of each class of training, if a task of training should have a group
            after the other, each whole but the last.
          **options: those of `ImageClassification`.

        Raises:
          InputError: as `ImageClassification` does, or if all alphabets are too small.
        """
        super().__init__(images, ways, shots, queries, **options)
        self._within, self._as_maml = dict(within or {}), as_maml
        self._together = together
        if as_maml:
            self._refuse_too_few_upright()
        for split, names in self._within.items():
            alphabets.refuse_small(split, names, self.ways_of(split))
        chosen = ["maml"] * as_maml + ["within_alphabet"] * bool(within)
        self.protocol_name = "_".join(chosen) or self.protocol_name

    def _refuse_too_few_upright(self) -> None:
        """Checks that a task has characters enough, of which each turn is a class."""
        for split in self._images.keys() - {"train"}:
            upright = len(self.class_names(split)) // TURNS
            if self.ways_of(split) > upright:
                raise InputError(
                    f"ways={self.ways_of(split)}: the {split} split has {upright} characters, each "
                    "in one turn a task; ask for no more"
                )

    def evaluation_queries(self, shots: int) -> int:
        """Returns as many queries as shots where MAML's code is followed."""
        return shots if self._as_maml else super().evaluation_queries(shots)

    def _classes(self, seed: tf.Tensor, split: str, ways: int) -> tf.Tensor:
        if split == "train" and self._together is not None:
            own = uniform(fold_in(seed, 0), self._together.shape)
            return largest(alphabets.places(seed, self._together) + own, ways)
        if split == "train" or not (self._within or self._as_maml):
            return super()._classes(seed, split, ways)
        count = len(self.class_names(split)) // (TURNS if self._as_maml else 1)
        numbers = uniform(fold_in(seed, 0), [count])
        if split in self._within:
            there = alphabets.of_one_alphabet(seed, self._within[split], ways)
            numbers = tf.where(there, numbers, -1.0)
        characters = largest(numbers, ways)
        if not self._as_maml:
            return characters
        turns = tf.cast(uniform(fold_in(seed, 3), [ways]) * TURNS, tf.int32)
        return characters + count * turns

    def model(self, seed: int) -> keras.Model:
        """Builds MAML's network for Omniglot."""
        return conv4(self.input_shape, self.output_size, seed)

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes a drawing, dark on light, to [28, 28, 1] with ink 255 on paper 0 (uint8)."""
        return shrink(encoded_images.decode(encoded))


def split_characters(split_seed: int, validation: int = VALIDATION) -> dict[str, np.ndarray]:
    """Returns the label numbers of each split, a partition of all 1,623 characters.

    Args:
      split_seed: what it is drawn by.
      validation: how many of the 1,200 that are not for the test are for validation.
    """
    order = np.random.default_rng(split_seed).permutation(CHARACTERS)
    return {
        "train": order[validation:META_TRAINING],
        "validation": order[:validation],
        "test": order[META_TRAINING:],
    }


def validation_characters(ways: int, test: int) -> int:
    """Returns how many characters validation needs: a task's, where the test has so many.

    Args:
      ways: classes per task.
      test: characters for the test, which no task can have more of.
    """
    return max(VALIDATION, min(ways, test))


def with_rotations(drawings: np.ndarray) -> np.ndarray:
    """Returns the classes [C, ...] and their rotations by 90°, 180° and 270°, [4 C, ...].

    Args:
      drawings: [classes, drawings, height, width, channels], height and width equal.
    """
    return np.concatenate([np.rot90(drawings, turns, axes=(2, 3)) for turns in range(TURNS)])


def with_reflections(drawings: np.ndarray) -> np.ndarray:
    """Returns the classes [C, ...] and their mirror images, [2 C, ...].

    Args:
      drawings: [classes, drawings, height, width, channels].
    """
    return np.concatenate([drawings, drawings[:, :, :, ::-1]])


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


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> Omniglot:
    """Makes the family that the flags of a run describe, holding these splits only."""
    sizes = settings.ways, settings.shots, settings.queries
    if not splits:
        return Omniglot({}, *sizes, input_shape=(SIDE, SIDE, 1))
    drawings = load_drawings(settings.data_dir)
    is_lake, as_maml = settings.split == "lake", settings.protocol == "maml"
    within: dict[str, np.ndarray] = {}
    validation = validation_characters(settings.ways, CHARACTERS - META_TRAINING)
    characters = split_characters(settings.split_seed, validation)
    if is_lake or settings.within_alphabet or settings.whole_alphabets:
        names = alphabets.load_alphabets(settings.data_dir)
        if is_lake:
            validation = validation_characters(settings.ways, CHARACTERS - alphabets.BACKGROUND)
            characters = alphabets.lake_split(names, validation, settings.split_seed)
        if settings.within_alphabet:
            within = {split: names[characters[split]] for split in splits if split != "train"}
    images = {split: drawings[characters[split]] for split in splits}
    if "train" in images and settings.reflections:
        images["train"] = with_reflections(images["train"])
    for split in images:
        if split == "train" or as_maml:
            images[split] = with_rotations(images[split])
    together = None
    if "train" in images and settings.whole_alphabets:
        of_character = names[characters["train"]]
        forms = len(images["train"]) // len(of_character)
        together = np.concatenate([np.char.add(of_character, f" {form}") for form in range(forms)])
    distort = Distortions(
        settings.class_distortion, settings.drawing_distortion, settings.stroke_width
    )
    return Omniglot(
        images,
        *sizes,
        within=within,
        as_maml=as_maml,
        together=together,
        train_ways=settings.train_ways,
        distort=distort if any(distort) else None,
    )
