"""The alphabets of Omniglot's characters: Lake's split by them, and tasks within one of them.

Lake et al. 2015 train on the characters of 30 alphabets, the background set, and test on those of
20 others, the evaluation set. Characters of one alphabet are alike, so that tasks within one are
harder.
"""

import numpy as np
import tensorflow as tf

from metasgd_tf.images import tfds_preparation
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform

BACKGROUND = 964
"""How many characters the background set has: the first ones, in the order of the labels."""


def load_alphabets(data_dir: str | None) -> np.ndarray:
    """Returns the name of each character's alphabet, by the label numbers, [1623].

    Args:
      data_dir: TFDS' directory of data sets, which has Omniglot; its own default if not given.
    """
    builder = tfds_preparation.opened("omniglot", data_dir)
    # A label is called after its alphabet, with a number: Greek_0 is one of Greek.
    return np.array([name.rpartition("_")[0] for name in builder.info.features["label"].names])


def lake_split(alphabets: np.ndarray, validation: int, split_seed: int) -> dict[str, np.ndarray]:
    """Returns the label numbers of each split: the test is Lake's evaluation set.

    Validation has whole alphabets of the background set, as the test has alphabets that training
    does not: in a random order, until it has enough characters.

    Args:
      alphabets: what `load_alphabets` gives.
      validation: the fewest characters that validation has.
      split_seed: what the alphabets of validation are drawn by.
    """
    background = alphabets[:BACKGROUND]
    names, sizes = np.unique(background, return_counts=True)
    order = np.random.default_rng(split_seed).permutation(len(names))
    chosen = np.searchsorted(np.cumsum(sizes[order]), validation) + 1
    held_out = np.isin(background, names[order[:chosen]])
    return {
        "train": np.flatnonzero(~held_out),
        "validation": np.flatnonzero(held_out),
        "test": np.arange(BACKGROUND, len(alphabets)),
    }


def refuse_small(split: str, alphabets: np.ndarray, ways: int) -> None:
    """Checks that tasks within one alphabet can be drawn.

    Args:
      split: its name.
      alphabets: the alphabet of each of its characters.
      ways: classes per task.

    Raises:
      InputError: if no alphabet has so many characters.
    """
    _, sizes = np.unique(alphabets, return_counts=True)
    if ways > max(sizes):
        raise InputError(
            f"ways={ways}: no alphabet of the {split} split has more than {max(sizes)} characters; "
            "with --within_alphabet ask for no more, or train with --split=lake, which does not "
            "divide alphabets"
        )


def places(seed: tf.Tensor, groups: np.ndarray) -> tf.Tensor:
    """Draws an order of groups; tells the place of each class's group, [classes] (float32).

    With a number in [0, 1) added to each, classes in the order of these numbers are group after
    group, and within a group in the order of what was added.

    Args:
      seed: [2].
      groups: the group of each class, such as its alphabet.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    order = tf.argsort(tf.argsort(uniform(fold_in(seed, 6), [len(names)])))
    return tf.cast(tf.gather(order, numbers), tf.float32)


def of_one_alphabet(seed: tf.Tensor, alphabets: np.ndarray, ways: int) -> tf.Tensor:
    """Draws an alphabet of those with enough characters, all alike; tells which it has, [C] bool.

    Args:
      seed: [2].
      alphabets: the alphabet of each of C characters.
      ways: how many characters are enough.
    """
    _, numbers, sizes = np.unique(alphabets, return_inverse=True, return_counts=True)
    large = np.flatnonzero(sizes >= ways)
    drawn = tf.cast(uniform(fold_in(seed, 2), []) * len(large), tf.int32)
    return tf.gather(tf.constant(large), drawn) == tf.constant(numbers)
