"""Characters, their split and rotations, and the tasks made of them.

Tasks are checked on pictures that say which class and which drawing they are.
"""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import run_flags
from metasgd_tf.picture_tasks import PictureClassification
from metasgd_tf.tasks import omniglot
from tests import synthetic_omniglot
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, stream

CLASSES, DRAWINGS = 30, 20


class Coded(PictureClassification):
    """Pictures of two pixels, the number of the class and the number of the drawing."""

    def model(self, seed):
        raise NotImplementedError


def coded_pictures(classes=CLASSES, drawings=DRAWINGS):
    numbers = np.indices([classes, drawings]).astype(np.uint8)
    return np.moveaxis(numbers, 0, -1)[:, :, np.newaxis, :, np.newaxis]


def coded(ways, shots, queries):
    return Coded({"train": coded_pictures(), "test": coded_pictures()}, ways, shots, queries)


def decode(inputs):
    return np.rint(inputs.numpy()[:, 0, :, 0] * 255).astype(int).T


def check_task(episode, ways, shots, queries):
    support_class, support_drawing = decode(episode.support_inputs)
    query_class, query_drawing = decode(episode.query_inputs)
    support = set(zip(support_class, support_drawing, strict=True))
    query = set(zip(query_class, query_drawing, strict=True))
    assert len(support) == ways * shots and len(query) == ways * queries
    assert not support & query
    classes = {}
    for label, number in zip(episode.support_targets.numpy(), support_class, strict=True):
        classes.setdefault(label, set()).add(number)
    for label, number in zip(episode.query_targets.numpy(), query_class, strict=True):
        classes[label].add(number)
    assert sorted(classes) == list(range(ways))
    assert all(len(numbers) == 1 for numbers in classes.values())
    assert len(set.union(*classes.values())) == ways
    np.testing.assert_array_equal(np.bincount(episode.support_targets), [shots] * ways)
    np.testing.assert_array_equal(np.bincount(episode.query_targets), [queries] * ways)
    return [classes[label].pop() for label in range(ways)], support | query


@pytest.mark.parametrize(
    ("ways", "shots", "queries"), [(5, 1, 1), (5, 5, 15), (20, 1, 15), (30, 1, 1), (1, 10, 10)]
)
def test_support_and_query_are_different_drawings_of_the_same_classes(ways, shots, queries):
    family = coded(ways, shots, queries)
    for number in range(10):
        episode = family.episode(fold_in(stream(0, "train"), number), "train")
        check_task(episode, ways, shots, queries)


def test_every_class_drawing_and_order_comes_up():
    sampler = tf.function(coded(5, 1, 15).sampler("train"))
    first, drawn = [], set()
    for number in range(300):
        episode = sampler(fold_in(stream(0, "train"), number))
        classes, pictures = check_task(episode, 5, 1, 15)
        first.append(classes[0])
        drawn |= pictures
    assert set(first) == set(range(CLASSES))
    assert np.bincount(first).max() < 30  # 10 are expected of each.
    assert len(drawn) == CLASSES * DRAWINGS


def test_evaluation_has_fifteen_queries_a_class_or_what_is_left():
    family = coded(5, 1, 1)
    for shots, queries in ((1, 15), (5, 15), (8, 12)):
        episode = family.evaluation_episode(
            stream(0, "test"), "test", Protocol(shots, 4, 1), tf.constant(2), tf.constant(0)
        )
        check_task(episode, 5, shots, queries)
    assert family.protocols(None) == [(1, 600, 1)]


def test_pixels_become_numbers_between_0_and_1():
    pictures = np.zeros([2, 2, 1, 2, 1], np.uint8)
    pictures[..., 1, 0] = 255
    family = Coded({"train": pictures}, 2, 1, 1)
    inputs = family.episode(stream(0, "train"), "train").support_inputs
    np.testing.assert_array_equal(inputs[..., 0], [[[0, 1]], [[0, 1]]])


def test_loss_and_accuracy_are_those_worked_out_by_hand():
    family = coded(2, 1, 1)
    targets, outputs = tf.constant([0, 1]), tf.constant([[0.0, np.log(3)], [0.0, np.log(3)]])
    np.testing.assert_allclose(family.loss(targets, outputs), [np.log(4), np.log(4 / 3)], rtol=1e-6)
    np.testing.assert_array_equal(family.metrics["accuracy"](targets, outputs), [0, 1])


def test_more_ways_than_classes_are_refused():
    with pytest.raises(InputError, match="ways=31: the train split has 30 classes"):
        coded(31, 1, 1)


def test_more_pictures_than_a_class_has_are_refused():
    with pytest.raises(InputError, match="shots=6 and queries=15: .*20 pictures"):
        coded(5, 6, 15)


@pytest.mark.parametrize("split_seed", [0, 1])
def test_the_split_divides_the_characters(split_seed):
    split = omniglot.split_characters(split_seed)
    assert {name: len(numbers) for name, numbers in split.items()} == {
        "train": 1100,
        "validation": 100,
        "test": 423,
    }
    assert sorted(np.concatenate(list(split.values()))) == list(range(1623))


def test_the_split_follows_its_seed():
    one, same, other = (omniglot.split_characters(seed) for seed in (0, 0, 1))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
        assert set(one[name]) != set(other[name])


def test_rotations_are_further_classes():
    drawings = np.random.default_rng(0).integers(0, 256, [3, 2, 6, 6, 1], np.uint8)
    turned = omniglot.with_rotations(drawings)
    assert turned.shape == (12, 2, 6, 6, 1) and turned.dtype == np.uint8
    for turns in range(4):
        for character in range(3):
            for number in range(2):
                np.testing.assert_array_equal(
                    turned[3 * turns + character, number, :, :, 0],
                    np.rot90(drawings[character, number, :, :, 0], turns),
                )


def area_mean(ink):
    """Shrinks a picture of 105 × 105 to 28 × 28: each pixel is the mean over its area."""
    edges = np.arange(29) * 105 / 28
    low = np.maximum(edges[:-1, np.newaxis], np.arange(105))
    high = np.minimum(edges[1:, np.newaxis], np.arange(105) + 1)
    share = np.maximum(high - low, 0) * 28 / 105
    return share @ ink @ share.T


def test_drawings_are_shrunk_and_have_ink_255(omniglot_drawings):
    drawings = omniglot_drawings
    assert drawings.shape == (1623, 20, 28, 28, 1) and drawings.dtype == np.uint8
    for label in (0, 1, 963, 964, 1622):  # The last of one file and the first of the other.
        for number, ink in enumerate(synthetic_omniglot.drawings(label)):
            found = drawings[label, number, :, :, 0].astype(int)
            assert np.abs(found - 255 * area_mean(ink)).max() <= 1
            assert found.max() > 200 and np.median(found) == 0


def family_from_flags(monkeypatch, drawings, splits, *arguments):
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
    settings = run_flags.parse(["--task=omniglot", "--shots=1", "--queries=1", *arguments])
    return omniglot.from_flags(settings, splits)


def numbered_drawings():
    """Pictures of one colour for each character: its number in the pixels' two top bytes."""
    numbers = np.arange(1623)
    pictures = np.zeros([1623, 20, 4, 4, 1], np.uint8)
    pictures[:, :, :2] = (numbers // 256)[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
    pictures[:, :, 2:] = (numbers % 256)[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
    return pictures


def characters_of(family, split):
    """Returns the numbers of the upright characters among a split's classes."""
    pictures = family._pictures[split].numpy().astype(int)
    return pictures[:, 0, 0, 0, 0] * 256 + pictures[:, 0, -1, 0, 0]


def test_training_holds_no_test_pictures(monkeypatch):
    family = family_from_flags(monkeypatch, numbered_drawings(), ("train", "validation"))
    split = omniglot.split_characters(0)
    assert set(family._pictures) == {"train", "validation"}
    np.testing.assert_array_equal(characters_of(family, "train")[:1100], split["train"])
    np.testing.assert_array_equal(characters_of(family, "validation"), split["validation"])
    with pytest.raises(KeyError):
        family.episode(stream(0, "test"), "test")


def test_only_training_classes_are_rotated(monkeypatch, omniglot_drawings):
    drawings = omniglot_drawings
    family = family_from_flags(monkeypatch, drawings, ("train", "validation", "test"))
    counts = {split: len(pictures) for split, pictures in family._pictures.items()}
    assert counts == {"train": 4400, "validation": 100, "test": 423}
    character = omniglot.split_characters(0)["train"][7]
    for turns in range(4):
        np.testing.assert_array_equal(
            family._pictures["train"][1100 * turns + 7, 3, :, :, 0],
            np.rot90(drawings[character, 3, :, :, 0], turns),
        )


def test_flags_choose_the_split_and_the_sizes(monkeypatch):
    flags = ["--split_seed=4", "--ways=7", "--shots=2", "--queries=3"]
    family = family_from_flags(monkeypatch, numbered_drawings(), ("test",), *flags)
    expected = omniglot.split_characters(4)["test"]
    np.testing.assert_array_equal(characters_of(family, "test"), expected)
    assert (family.ways, family.output_size, family.shots, family.queries) == (7, 7, 2, 3)
    assert family.input_shape == (4, 4, 1)


def test_the_real_drawings_are_all_there(real_omniglot_dir):
    drawings = omniglot.load_drawings(real_omniglot_dir)
    assert drawings.shape == (1623, 20, 28, 28, 1) and drawings.dtype == np.uint8
    ink = drawings.mean((2, 3, 4))
    assert ink.min() > 0 and ink.max() < 90  # Lines on empty paper.
    assert drawings.max() == 255
    # Drawings of one character are more alike than those of the next character.
    blurred = drawings.reshape(1623, 20, 7, 4, 7, 4).mean((3, 5))
    own = np.abs(blurred[:, 0] - blurred[:, 1]).mean()
    next_one = np.abs(blurred[:-1, 0] - blurred[1:, 1]).mean()
    assert own < 0.85 * next_one
