"""Distortions against images and maps that were worked out pixel by pixel."""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.images import distortions
from metasgd_tf.images.distortions import Distortions
from trainers.seeds import fold_in, stream

SEED = stream(5, "train")


def noise(*shape):
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


def matrix(rows):
    return tf.constant([[*rows, [0, 0, 1]]], tf.float32)


def test_the_identity_leaves_an_image_as_it_is():
    images = noise(2, 5, 7, 3)
    identity = tf.eye(3, batch_shape=[2])
    np.testing.assert_allclose(distortions.mapped(images, identity), images, atol=1e-6)


def test_a_quarter_turn_is_that_of_numpy():
    images = noise(1, 6, 6, 2)
    turned = distortions.mapped(images, matrix([[0, 1, 0], [-1, 0, 0]]))
    np.testing.assert_allclose(turned[0], np.rot90(images[0]), atol=1e-6)


def test_a_shift_moves_pixels_and_brings_in_paper():
    images = noise(1, 4, 8, 1)
    # Half of the image's side is 1: a row is 2/4 and a column 2/8.
    moved = distortions.mapped(images, matrix([[1, 0, 0.5], [0, 1, -0.5]]))[0, :, :, 0]
    expected = np.zeros([4, 8])
    expected[:3, 2:] = images[0, 1:, :6, 0]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def value_at(image, row, column):
    """Returns the value between four pixels of an image [H, W], outside of which it is 0."""
    total = 0.0
    for r in (np.floor(row), np.floor(row) + 1):
        for c in (np.floor(column), np.floor(column) + 1):
            if 0 <= r < image.shape[0] and 0 <= c < image.shape[1]:
                share = (1 - abs(row - r)) * (1 - abs(column - c))
                total += share * image[int(r), int(c)]
    return total


@pytest.mark.parametrize("compiled", [False, True])
def test_a_map_interpolates_between_pixels(compiled):
    images = noise(2, 10, 14, 1)
    maps = distortions.affine_maps(SEED, 2, 0.7)
    warp = tf.function(distortions.mapped, jit_compile=True) if compiled else distortions.mapped
    found = warp(tf.constant(images), maps).numpy()
    outside = 0
    for number, row, column in np.ndindex(2, 10, 14):
        at = [(row + 0.5) / 5 - 1, (column + 0.5) / 7 - 1, 1]
        x, y, _ = maps[number].numpy().astype(float) @ at
        expected = value_at(images[number, :, :, 0], (x + 1) * 5 - 0.5, (y + 1) * 7 - 0.5)
        assert found[number, row, column, 0] == pytest.approx(expected, abs=2e-5)
        outside += expected == 0
    assert 0 < outside < 140


def test_maps_are_drawn_as_the_formula_says():
    strength = 0.5
    numbers = strength * distortions.signed(SEED, [6, 2]).numpy().astype(float)
    for number, found in enumerate(distortions.affine_maps(SEED, 2, strength)):
        a, h, r, c, *t = numbers[:, number]
        a = a * np.pi / 4
        rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        scales = np.diag(np.exp([0.4 * r, 0.4 * c]))
        expected = rotation @ [[1, 0.5 * h], [0, 1]] @ scales
        np.testing.assert_allclose(found[:2, :2], expected, atol=1e-6)
        np.testing.assert_allclose(found[:2, 2], [0.3 * t[0], 0.3 * t[1]], atol=1e-6)
        np.testing.assert_array_equal(found[2], [0, 0, 1])


def test_strength_0_is_no_map():
    np.testing.assert_array_equal(distortions.affine_maps(SEED, 4, 0.0), [np.eye(3)] * 4)


def test_strokes_become_thicker_thinner_or_stay():
    image = noise(1, 6, 6, 1)[0, :, :, 0]
    images = np.stack([image] * 4)[..., np.newaxis]
    found = distortions.with_strokes(images, tf.constant([1.0, -1.0, 0.0, 0.25]))[..., 0]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(image, 1, mode="edge"), (3, 3))
    thick, thin = around.max((2, 3)), around.min((2, 3))
    for result, expected in zip(
        found, [thick, thin, image, 0.75 * image + 0.25 * thick], strict=True
    ):
        np.testing.assert_allclose(result, expected, atol=1e-6)


def test_signed_numbers_fill_the_interval_on_both_sides_of_0():
    numbers = distortions.signed(SEED, [10_000]).numpy()
    assert -1 <= numbers.min() < -0.99 and 0.99 < numbers.max() < 1
    # Five standard deviations of the mean; a uniform number of [−1, 1) has the variance 1/3.
    assert numbers.mean() == pytest.approx(0, abs=0.03)
    assert numbers.var() == pytest.approx(1 / 3, abs=0.02)


def test_strokes_vary_up_to_their_strength_in_both_directions():
    images = np.zeros([10, 20, 5, 5, 1], np.float32)
    images[:, :, 2, 2] = 1
    found = Distortions(strokes=0.25)(SEED, tf.constant(images)).numpy()
    # A share of at most ¼ of thick strokes brings ink beside the pixel, one of thin ones takes it
    # from the pixel; that none of 200 comes within a fifth of that has the chance 0.9^200.
    assert 0.2 < found[:, :, 2, 1].max() <= 0.25
    assert 0.75 <= found[:, :, 2, 2].min() < 0.8


def blob(classes, each):
    """Images that are all alike: a rectangle off the centre."""
    image = np.zeros([28, 28, 1], np.float32)
    image[8:16, 10:13] = 1
    return tf.constant(np.broadcast_to(image, [classes, each, 28, 28, 1]))


def test_all_drawings_of_a_class_share_its_map_and_classes_have_their_own():
    found = Distortions(of_class=0.8)(SEED, blob(3, 4)).numpy()
    np.testing.assert_allclose(found, np.repeat(found[:, :1], 4, axis=1), atol=1e-6)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(found[one, 0] - found[other, 0]).max() > 0.5


@pytest.mark.parametrize("own", [Distortions(of_drawing=0.3), Distortions(strokes=0.9)])
def test_drawings_have_distortions_of_their_own(own):
    found = own(SEED, blob(2, 3)).numpy().reshape(6, -1)
    for number in range(6):
        others = np.delete(found, number, axis=0)
        assert np.abs(others - found[number]).max(axis=1).min() > 0.001


def test_a_drawings_map_is_made_within_its_class():
    both = Distortions(of_class=0.8, of_drawing=0.3)(SEED, blob(1, 1))[0]
    shared = distortions.affine_maps(fold_in(SEED, 1), 1, 0.8)
    own = distortions.affine_maps(fold_in(SEED, 2), 1, 0.3)
    expected = distortions.mapped(blob(1, 1)[0], shared @ own)
    np.testing.assert_allclose(both, expected, atol=1e-6)


def test_a_seed_decides_compiled_or_not():
    vary = Distortions(0.5, 0.2, 0.5)
    images = tf.constant(noise(2, 3, 28, 28, 1))
    plain = vary(SEED, images)
    graph = tf.function(lambda *given: vary(*given))(SEED, images)
    compiled = tf.function(lambda *given: vary(*given), jit_compile=True)(SEED, images)
    for found in (graph, compiled):
        np.testing.assert_allclose(found, plain, atol=1e-4)
    assert np.abs(plain - vary(fold_in(SEED, 1), images)).max() > 0.1
