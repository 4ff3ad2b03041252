"""Omniglot's alphabets: whose characters are whose, Lake's split, and tasks within one."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from metasgd_tf.images import alphabets
from tests import synthetic_omniglot
from trainers.errors import InputError
from trainers.seeds import fold_in, stream

NAMES = np.array([f"alphabet_{number:02d}" for number in synthetic_omniglot.ALPHABETS])


def test_a_character_has_the_alphabet_that_its_label_says(omniglot_dir):
    np.testing.assert_array_equal(alphabets.load_alphabets(omniglot_dir), NAMES)


def test_the_real_characters_have_the_alphabets_of_their_feature(real_omniglot_dir):
    found = alphabets.load_alphabets(real_omniglot_dir)
    assert len(set(found[:964])) == 30 and len(set(found[964:])) == 20
    assert not set(found[:964]) & set(found[964:])
    builder = tfds.builder("omniglot", data_dir=real_omniglot_dir)
    features = tfds.decode.PartialDecoding({"label": True, "alphabet": True})
    dataset = builder.as_dataset(split="train[:2%]+test[:2%]", decoders=features)
    name_of = builder.info.features["alphabet"].int2str
    for example in dataset.as_numpy_iterator():
        assert found[example["label"]] == name_of(example["alphabet"])


@pytest.mark.parametrize("split_seed", [0, 1, 2])
def test_lakes_split_divides_the_characters_and_no_alphabet(split_seed):
    split = alphabets.lake_split(NAMES, 100, split_seed)
    assert sorted(np.concatenate(list(split.values()))) == list(range(1623))
    np.testing.assert_array_equal(split["test"], range(964, 1623))
    of = {name: set(NAMES[numbers]) for name, numbers in split.items()}
    assert len(of["train"] | of["validation"]) == 30 and len(of["test"]) == 20
    assert not of["train"] & of["validation"] and not of["test"] & of["validation"]
    # One alphabet fewer would not be enough.
    sizes = [np.sum(name == NAMES) for name in of["validation"]]
    assert 100 <= sum(sizes) < 100 + max(sizes)


def test_lakes_split_follows_its_seed():
    one, same, other = (alphabets.lake_split(NAMES, 100, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one["validation"], same["validation"])
    assert set(NAMES[one["validation"]]) != set(NAMES[other["validation"]])


def test_lakes_split_by_a_seed_stays_what_it_has_been():
    names = np.repeat(np.arange(16), [*[64] * 14, 68, 659])
    # NumPy's default_rng(0).permutation(15) begins with 2 and 11, whose 128 characters are enough.
    split = alphabets.lake_split(names, 100, 0)
    assert set(names[split["validation"]]) == {2, 11}
    assert set(names[split["train"]]) == {0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14}


def test_enough_characters_are_enough():
    sizes = np.repeat(["a", "b", "c", "d"], [10, 241, 241, 472])
    names = np.concatenate([sizes, ["e"] * 659])
    for seed in range(8):
        chosen = names[alphabets.lake_split(names, 10, seed)["validation"]]
        assert len(set(chosen)) == 1


def test_alphabets_with_enough_characters_come_up_alike():
    names = np.array(["b"] * 3 + ["a"] * 5 + ["b"] * 2 + ["c"] * 4 + ["d"] * 9)
    drawn = tf.function(lambda seed: alphabets.of_one_alphabet(seed, names, 5))
    times = {"a": 0, "b": 0, "d": 0}
    for number in range(300):
        there = drawn(fold_in(stream(0, "test"), number)).numpy()
        (name,) = set(names[there])
        np.testing.assert_array_equal(there, names == name)
        times[name] += 1
    # Five standard deviations of a binomial count.
    assert all(abs(count - 100) < 5 * np.sqrt(300 * 2 / 9) for count in times.values())


def test_too_many_ways_for_every_alphabet_are_refused():
    alphabets.refuse_small("test", NAMES, 55)
    with pytest.raises(InputError, match="ways=56: no alphabet of the test split has more than 55"):
        alphabets.refuse_small("test", NAMES, 56)
