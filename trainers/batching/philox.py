"""The numbers that TensorFlow draws from a seed, in operations that can be batched over seeds.

Philox 4×32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is
what TensorFlow's stateless draws of integers are made of; their key and counter come from the seed
by another such draw. TensorFlow's kernels take one key each; here any number of keys is one batch,
and the bits are the same.

Words are held in int64, which multiplies, shifts and masks alike in every kind of kernel.
"""

from typing import TypeAlias

import numpy as np
import tensorflow as tf

WORD = 0xFFFFFFFF
_HALF = np.int64(32)
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)

Words: TypeAlias = tuple[tf.Tensor, ...]


def words_of(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the low and the high word of 64-bit integers, each int64."""
    numbers = tf.cast(numbers, tf.int64)
    return numbers & WORD, tf.bitwise.right_shift(numbers, _HALF) & WORD


def philox(counter: Words, key: Words) -> Words:
    """Returns the four words that belong to a counter and a key.

    Args:
      counter: four tensors of words, the lowest first, of shapes that broadcast.
      key: two.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        (low0, high0), (low1, high1) = words_of(first), words_of(second)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_STEPS[0]) & WORD, (k1 + KEY_STEPS[1]) & WORD
    return c0, c1, c2, c3


# A function of its own, since a network's dropouts and draws would each be hundreds of operations.
@tf.function(autograph=False)
def words(keys: tf.Tensor, counters: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the words that TensorFlow's draws of 32-bit integers take, one after the other.

    Args:
      keys: [B, 1] or [1, 1] (uint64).
      counters: [B, 2] or [1, 2] (uint64); the lower number should not overflow.
      count: how many words to return.

    Returns:
      [B, count], int64.
    """
    keys, counters = (tf.bitcast(given, tf.int64) for given in (keys, counters))
    places = tf.range(count, dtype=tf.int64)
    low = words_of(counters[:, :1] + tf.bitwise.right_shift(places, np.int64(2)))
    high = words_of(counters[:, 1:])
    *others, drawn = philox((*low, *high), words_of(keys))
    # Each place computes all four words of its counter: in that form XLA makes one kernel of it.
    for number, word in enumerate(others):
        drawn = tf.where((places & 3) == number, word, drawn)
    return drawn
