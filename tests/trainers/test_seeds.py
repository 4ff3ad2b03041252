"""Random numbers are the same function of their seed wherever they are drawn."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from trainers.seeds import SPLITS, fold_in, split_seed, stream, uniform

SEED = (5, -3)


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: fold_in(seed, 4),
        lambda seed: fold_in(seed, 4, 0, 123456),
        lambda seed: split_seed(seed, 6),
        lambda seed: uniform(seed, [3, 5]),
    ],
    ids=["fold_in", "fold_in_more", "split_seed", "uniform"],
)
def test_eager_graph_and_xla_agree_to_the_bit(draw):
    seed = tf.constant(SEED)
    eager = draw(seed).numpy()
    np.testing.assert_array_equal(tf.function(draw)(seed), eager)
    np.testing.assert_array_equal(tf.function(draw, jit_compile=True)(seed), eager)
    assert not np.array_equal(draw(tf.constant([5, -2])), eager)
    assert not np.array_equal(draw(tf.constant([6, -3])), eager)


def test_a_number_may_be_a_tensor():
    np.testing.assert_array_equal(
        fold_in(tf.constant(SEED), tf.constant(9)), fold_in(tf.constant(SEED), 9)
    )


def test_folding_in_two_numbers_is_folding_in_one_after_the_other():
    seed = tf.constant(SEED)
    np.testing.assert_array_equal(fold_in(seed, 1, 2), fold_in(fold_in(seed, 1), 2))


def test_different_numbers_give_different_seeds():
    seed = tf.constant(SEED)
    seeds = [tuple(fold_in(seed, number).numpy()) for number in range(200)]
    seeds += [tuple(fold_in(seed, a, b).numpy()) for a, b in itertools.product(range(8), repeat=2)]
    seeds += [tuple(row) for row in split_seed(seed, 200).numpy()]
    assert len(set(seeds)) == len(seeds)


def test_splits_and_runs_have_different_streams():
    streams = {tuple(stream(seed, split).numpy()) for seed in range(5) for split in SPLITS}
    assert len(streams) == 15
    assert stream(3, "test").dtype == tf.int32


def test_uniform_numbers_fill_the_unit_interval():
    numbers = uniform(tf.constant(SEED), [100_000]).numpy()
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < 1e-3 and 0.999 < numbers.max() < 1
    assert numbers.mean() == pytest.approx(0.5, abs=0.005)
    assert numbers.var() == pytest.approx(1 / 12, abs=0.002)
    np.testing.assert_array_equal(numbers * 2**24, np.floor(numbers * 2**24))
