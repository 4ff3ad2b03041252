"""What tasks of training may have of their own, and what else a family of images answers."""

import hashlib
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from metasgd_tf.images.files import image_files
from metasgd_tf.images.images_by_class import ImagesByClass
from tests.metasgd_tf.images.coded_images import (
    IMAGES,
    Coded,
    check_task,
    coded,
    coded_images,
    codes,
)
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, stream

SIZES = {"train": 9, "validation": 6, "test": 5}


def wider(train_ways, distort=None):
    """Returns a family whose training has tasks of more classes."""
    held = {split: coded_images(classes) for split, classes in SIZES.items()}
    return Coded(held, 5, 1, 2, train_ways=train_ways, distort=distort)


@pytest.mark.parametrize("train_ways", [7, 9])
def test_tasks_of_training_may_have_more_classes_than_a_split_of_evaluation_holds(train_ways):
    family = wider(train_ways)
    for split, ways in (("train", train_ways), ("validation", 5), ("test", 5)):
        check_task(family.episode(stream(0, split), split), ways, 1, 2)
    assert (family.output_size, family.classifies) == (5, True)


def test_more_classes_in_training_than_there_are_are_refused():
    with pytest.raises(InputError, match="train_ways=10: the train split has 9 classes; ask for"):
        wider(10)


def test_images_are_distorted_in_training_only_and_by_a_seed_of_their_own():
    met = []

    def distort(seed, images):
        met.append((seed.numpy(), images.shape))
        return 1.0 - images

    family, plain = wider(7, distort), wider(7)
    for split in SIZES:
        seed = stream(4, split)
        found, expected = family.episode(seed, split), plain.episode(seed, split)
        for part in ("support_inputs", "query_inputs"):
            as_drawn = getattr(expected, part)
            changed = 1.0 - as_drawn if split == "train" else as_drawn
            np.testing.assert_array_equal(getattr(found, part), changed)
    ((seed, shape),) = met
    np.testing.assert_array_equal(seed, fold_in(stream(4, "train"), 4))
    assert shape == (7, 3, 1, 2, 1)


def test_the_number_of_tasks_of_an_evaluation_can_be_given():
    assert coded(5, 3, 1).protocols(7) == [Protocol(shots=3, num_tasks=7, repeats=1, before=100)]


def test_sequences_are_those_that_published_runs_were_evaluated_on():
    inputs, targets = coded(2, 1, 1).sequence(fold_in(stream(7, "test"), 11), "test", 3)
    assert codes(inputs) == [[6, 5], [6, 8], [21, 7], [21, 8], [21, 9], [6, 17]]
    assert targets.numpy().tolist() == [1, 1, 0, 0, 0, 1]


def test_a_sequence_may_show_all_images_of_a_class():
    inputs, _ = coded(2, 1, 1).sequence(stream(7, "test"), "test", IMAGES)
    assert len({tuple(code) for code in codes(inputs)}) == 2 * IMAGES


def test_the_digest_is_of_names_counts_shapes_and_pixels():
    """Also of more images than are taken at once, by hashlib in one go."""
    pixels = np.random.default_rng(1).integers(0, 256, [1100, 2, 1, 1], np.uint8)
    held = {
        "train": ImagesByClass(pixels, (1000, 100), ("one", "other")),
        "test": ImagesByClass(pixels[:40], (20, 20), ("a", "b")),
    }
    whole = hashlib.blake2b(digest_size=8)
    for split in ("test", "train"):
        of = held[split]
        whole.update(repr((split, of.names, of.counts, tf.TensorShape(of.images.shape))).encode())
        whole.update(of.images.tobytes())
    assert Coded(held, 2, 1, 1).data_digest() == whole.hexdigest()


def test_each_class_has_a_name_and_a_count():
    with pytest.raises(ValueError, match="zip"):
        Coded({"train": ImagesByClass(np.zeros([4, 1, 2, 1], np.uint8), (2, 2), ("a",))}, 1, 1, 1)


@pytest.mark.parametrize("size", [5, 20])
def test_an_image_in_a_graph_is_decoded_to_the_pixels_of_training(size):
    pixels = np.random.default_rng(2).integers(0, 256, [64, 48, 3], np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    family = Coded({}, 2, 1, 1, input_shape=(size, size, 3))
    found = family.decode(tf.constant(file.getvalue()))
    file.seek(0)
    np.testing.assert_array_equal(found, image_files.decode(file, size, 3))
