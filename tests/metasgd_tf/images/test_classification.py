"""Tasks made of images, checked on images that say which class and which image they are."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.images.images_by_class import ImagesByClass
from metasgd_tf.tasks.mini_imagenet import MiniImagenetTasks
from tests.metasgd_tf.images.coded_images import (
    CLASSES,
    IMAGES,
    Coded,
    check_task,
    coded,
    coded_images,
    codes,
    decode,
)
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, stream


@pytest.mark.parametrize(
    ("ways", "shots", "queries"), [(5, 1, 1), (5, 5, 15), (20, 1, 15), (30, 1, 1), (1, 10, 10)]
)
def test_support_and_query_are_different_images_of_the_same_classes(ways, shots, queries):
    family = coded(ways, shots, queries)
    for number in range(10):
        episode = family.episode(fold_in(stream(0, "train"), number), "train")
        check_task(episode, ways, shots, queries)


def test_every_class_image_and_order_comes_up():
    sampler = tf.function(coded(5, 1, 15).sampler("train"))
    first, drawn = [], set()
    for number in range(300):
        episode = sampler(fold_in(stream(0, "train"), number))
        classes, images = check_task(episode, 5, 1, 15)
        first.append(classes[0])
        drawn |= images
    assert set(first) == set(range(CLASSES))
    assert np.bincount(first).max() < 30  # 10 are expected of each.
    assert len(drawn) == CLASSES * IMAGES


def test_evaluation_has_fifteen_queries_a_class_or_what_is_left():
    family = coded(5, 1, 1)
    for shots, queries in ((1, 15), (5, 15), (8, 12)):
        episode = family.evaluation_episode(
            stream(0, "test"), "test", Protocol(shots, 4, 1), tf.constant(2), tf.constant(0)
        )
        check_task(episode, 5, shots, queries)
    assert family.protocols(None) == [Protocol(shots=1, num_tasks=600, repeats=1, before=100)]


def test_pixels_become_numbers_between_0_and_1():
    images = np.zeros([2, 2, 1, 2, 1], np.uint8)
    images[..., 1, 0] = 255
    family = Coded({"train": images}, 2, 1, 1)
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


def test_more_images_than_a_class_has_are_refused():
    with pytest.raises(InputError, match="shots=6 and queries=15: .*20 images"):
        coded(5, 6, 15)


# Classes of 8 to 40 images, in no order of size.
UNEVEN = (9, 40, 8, 17, 25, 12)


def uneven_images():
    """The images of all classes, each two pixels as those of `coded_images`."""
    codes = [(number, image) for number, count in enumerate(UNEVEN) for image in range(count)]
    images = np.array(codes, np.uint8)[:, np.newaxis, :, np.newaxis]
    return ImagesByClass(images, UNEVEN, tuple(f"kind {number}" for number in range(len(UNEVEN))))


def uneven(ways, shots, queries):
    return Coded({"train": uneven_images(), "test": uneven_images()}, ways, shots, queries)


def test_tasks_of_even_classes_are_those_that_published_runs_were_trained_on():
    family = coded(3, 2, 3)
    episode = family.episode(fold_in(stream(7, "train"), 11), "train")
    assert codes(episode.support_inputs) == [[17, 11], [17, 3], [4, 11], [4, 1], [12, 15], [12, 3]]
    queries = {17: [8, 6, 0], 4: [17, 0, 15], 12: [1, 19, 13]}
    assert codes(episode.query_inputs) == [[c, n] for c in queries for n in queries[c]]
    episode = family.evaluation_episode(
        stream(7, "test"), "test", Protocol(2, 4, 1), tf.constant(3), tf.constant(0)
    )
    assert codes(episode.support_inputs) == [[3, 9], [3, 12], [18, 3], [18, 16], [1, 19], [1, 6]]
    of_class_3 = [3, 8, 17, 14, 19, 2, 5, 1, 11, 4, 0, 7, 16, 6, 18]
    assert codes(episode.query_inputs[:15]) == [[3, number] for number in of_class_3]


@pytest.mark.parametrize("compiled", [False, True])
def test_tasks_of_even_classes_are_so_to_the_last_bit(compiled):
    images = np.random.default_rng(0).integers(0, 256, [23, 20, 5, 6, 3], np.uint8)
    sampler = Coded({"train": images}, 5, 2, 4).sampler("train")
    sampler = tf.function(sampler) if compiled else sampler
    digest = hashlib.sha256()
    for number in range(50):
        for part in sampler(fold_in(stream(3, "train"), number)):
            digest.update(part.numpy().tobytes())
    assert digest.hexdigest() == "612514b9fe6dcbdae1812367c2f97dbd8c6754d4b82c308f4cb8bc31f0a79d15"


@pytest.mark.parametrize(
    ("ways", "shots", "queries"), [(3, 1, 1), (6, 1, 7), (6, 5, 3), (1, 4, 4), (2, 1, 5)]
)
def test_tasks_of_uneven_classes_keep_to_the_images_of_each(ways, shots, queries):
    sampler = tf.function(uneven(ways, shots, queries).sampler("train"))
    for number in range(50):
        episode = sampler(fold_in(stream(0, "train"), number))
        _, images = check_task(episode, ways, shots, queries)
        assert all(image < UNEVEN[kind] for kind, image in images)


@pytest.mark.slow
def test_classes_come_up_alike_whatever_their_size_and_so_do_the_images_of_a_class():
    tasks, ways, shown = 1200, 2, 4
    sampler = tf.function(uneven(ways, 1, shown - 1).sampler("train"))
    drawn = np.zeros([len(UNEVEN), max(UNEVEN)], int)
    for number in range(tasks):
        episode = sampler(fold_in(stream(2, "train"), number))
        for inputs in (episode.support_inputs, episode.query_inputs):
            np.add.at(drawn, tuple(decode(inputs)), 1)
    of_class = drawn.sum(1) / shown
    expected = tasks * ways / len(UNEVEN)
    # Five standard deviations of a binomial count, here and below.
    assert np.abs(of_class - expected).max() < 5 * np.sqrt(expected * (1 - ways / len(UNEVEN)))
    for count, images, times in zip(UNEVEN, drawn, of_class, strict=True):
        expected = times * shown / count
        assert np.abs(images[:count] - expected).max() < 5 * np.sqrt(expected)
        assert not images[count:].any()


def test_the_smallest_class_of_a_split_bounds_the_queries_of_evaluation():
    large = ImagesByClass(np.zeros([60, 1, 2, 1], np.uint8), (30, 30), ("one", "other"))
    family = Coded({"train": uneven_images(), "test": large}, 2, 1, 1)
    for split, shots, queries in (("train", 1, 7), ("train", 5, 3), ("test", 1, 15)):
        episode = family.evaluation_episode(
            stream(0, split), split, Protocol(shots, 4, 1), tf.constant(2), tf.constant(0)
        )
        np.testing.assert_array_equal(np.bincount(episode.support_targets), [shots] * 2)
        np.testing.assert_array_equal(np.bincount(episode.query_targets), [queries] * 2)


def test_images_are_no_part_of_a_graph():
    images = np.zeros([4, 50, 40, 40, 3], np.uint8)
    family = Coded({"train": images}, 2, 1, 1)
    traced = tf.function(family.sampler("train")).get_concrete_function(
        tf.TensorSpec([2], tf.int32)
    )
    assert traced.graph.as_graph_def().ByteSize() < images.nbytes / 10
    assert any(tensor is family._images["train"].images for tensor in traced.captured_inputs)


def test_classes_with_too_few_images_are_named():
    with pytest.raises(InputError, match="shots=3 and queries=7: a class needs 10 .*train") as info:
        uneven(3, 3, 7)
    assert "kind 0 (9 images), kind 2 (8 images);" in str(info.value)


def test_no_more_than_ten_classes_are_named():
    few = ImagesByClass(np.zeros([40, 1, 2, 1], np.uint8), (2,) * 20, tuple("abcdefghijklmnopqrst"))
    with pytest.raises(InputError) as info:
        Coded({"train": few}, 2, 1, 2)
    assert "i (2 images), j (2 images) and 10 others;" in str(info.value)
    assert "k (2" not in str(info.value)


def test_mini_imagenet_validates_20_ways_on_its_16_classes():
    splits = {"train": 64, "validation": 16, "test": 20}
    held = {split: coded_images(classes) for split, classes in splits.items()}
    family = MiniImagenetTasks(held, ways=20, shots=1, queries=2)
    for split, ways in (("train", 20), ("validation", 16), ("test", 20)):
        check_task(family.episode(stream(0, split), split), ways, 1, 2)
    assert family.output_size == 20
    with pytest.raises(InputError, match="ways=21: the test split has 20 classes"):
        MiniImagenetTasks(held, ways=21, shots=1, queries=2)
