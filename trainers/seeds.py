"""Random numbers as pure functions of a seed, a pair of integers (int32).

So a run can be repeated and resumed without saving any iterator. Each seed derives from the one
before:

    run seed ─ split (training, validation, test) ─ meta-iteration ─ task of the meta-batch

The generator is named in every draw, because TensorFlow would choose another one under XLA. Even
so, XLA makes other normal numbers from the same bits.
"""

from collections.abc import Sequence

import tensorflow as tf

from trainers.errors import InputError

SPLITS = ("train", "validation", "test")
MAX_SEED = 2**31 - 1
_GENERATOR = "philox"


def stream(seed: int, split: str) -> tf.Tensor:
    """Returns the seed [2] (int32) under which a split's episodes are drawn in a run.

    Args:
      seed: the run's, from 0 to `MAX_SEED`.
      split: one of `SPLITS`.

    Raises:
      InputError: for another seed, which as an int32 might be one of these.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed={seed}: should be from 0 to {MAX_SEED}")
    return tf.constant([seed, SPLITS.index(split)], tf.int32)


def fold_in(seed: tf.Tensor, *numbers: tf.Tensor | int) -> tf.Tensor:
    """Derives a seed [2] from `seed` and these numbers, which are folded in one by one."""
    for number in numbers:
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32), _GENERATOR)
    return seed


def split_seed(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Derives `count` seeds from one, [count, 2] (int32)."""
    return tf.random.stateless_uniform([count, 2], seed, None, None, tf.int32, alg=_GENERATOR)


def uniform(seed: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws numbers uniformly from [0, 1), of this shape, float32, with 24 random bits."""
    # By way of integers, since XLA makes other floats from the same bits.
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg=_GENERATOR)
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def standard_normal(seed: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Draws standard normal numbers of this shape, float32; XLA draws others from the same seed."""
    return tf.random.stateless_normal(shape, seed, alg=_GENERATOR)
