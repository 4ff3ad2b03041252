"""Batch normalisation of images, against what it is defined by, and central differences."""

import numpy as np
import pytest
import tensorflow as tf

from trainers.stateless import image_norm

EPSILON = 1e-3


def by_definition(x, gamma, beta):
    mean = x.mean((0, 1, 2))
    variance = x.var((0, 1, 2))
    return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta, mean, variance


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.fixture(params=[0, image_norm.LARGE], ids=["kernel", "operations"])
def way(request, monkeypatch):
    """Lets small images be normalised in either way."""
    monkeypatch.setattr(image_norm, "LARGE", request.param)


@pytest.fixture
def inputs(way):
    return draw(3, 4, 5, 2) + 1.0, draw(2), draw(1, 2)[0]


def tensors(arrays):
    return [tf.cast(array, tf.float32) for array in arrays]


def test_outputs_and_statistics(inputs):
    for got, expected in zip(
        image_norm.image_norm(*tensors(inputs), EPSILON), by_definition(*inputs), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def loss(x, gamma, beta):
    """A scalar that depends on every output in a way of its own, in float64."""
    weights = draw(*x.shape)
    return np.sum(weights * np.sin(by_definition(x, gamma, beta)[0]))


def first_derivatives(x, gamma, beta):
    """Those of `loss`, by the formulas in the module's docstring, in float64."""
    normalised, _, variance = by_definition(x, 1.0, 0.0)
    dy = draw(*x.shape) * np.cos(by_definition(x, gamma, beta)[0])
    axes = (0, 1, 2)
    projected = dy - dy.mean(axes) - normalised * (normalised * dy).mean(axes)
    return (
        gamma / np.sqrt(variance + EPSILON) * projected,
        (normalised * dy).sum(axes),
        dy.sum(axes),
    )


def central_difference(function, arrays, number, h=1e-5):
    difference = np.zeros_like(arrays[number])
    for index in np.ndindex(difference.shape):
        ends = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[number][index] += sign * h
            ends.append(function(*moved))
        difference[index] = (ends[0] - ends[1]) / (2 * h)
    return difference


def differentiated(arrays, weights):
    """Returns ∇loss, and ∇ of its weighted sum, by TensorFlow."""
    x, gamma, beta = tensors(arrays)
    scale = tf.constant(draw(*arrays[0].shape), tf.float32)
    with tf.GradientTape() as outer:
        outer.watch([x, gamma, beta])
        with tf.GradientTape() as inner:
            inner.watch([x, gamma, beta])
            y, _, _ = image_norm.image_norm(x, gamma, beta, EPSILON)
            value = tf.reduce_sum(scale * tf.sin(y))
        first = inner.gradient(value, [x, gamma, beta])
        total = tf.add_n(
            [tf.reduce_sum(w * d) for w, d in zip(tensors(weights), first, strict=True)]
        )
    return first, outer.gradient(total, [x, gamma, beta])


@pytest.mark.parametrize("traced", [False, True])
def test_first_and_second_derivatives(inputs, traced):
    weights = [draw(*array.shape[::-1]).T for array in inputs]
    run = tf.function(differentiated) if traced else differentiated
    first, second = run(inputs, weights)

    def total(*arrays):
        return sum(np.sum(w * d) for w, d in zip(weights, first_derivatives(*arrays), strict=True))

    for number in range(3):
        expected = central_difference(loss, inputs, number)
        np.testing.assert_allclose(first[number], expected, rtol=1e-4, atol=1e-4)
        expected = central_difference(total, inputs, number)
        np.testing.assert_allclose(second[number], expected, rtol=1e-3, atol=2e-3)


def test_a_scale_of_zero_is_differentiated_twice(inputs):
    x, _, beta = inputs
    inputs = (x, np.zeros(2), beta)
    weights = [np.ones_like(array) for array in inputs]
    _, second = differentiated(inputs, weights)
    for derivative in second:
        assert np.all(np.isfinite(derivative))


def test_the_statistics_of_one_entry(way):
    x = tf.ones([1, 1, 1, 3])
    y, mean, variance = image_norm.image_norm(x, tf.ones([3]), tf.zeros([3]), EPSILON)
    np.testing.assert_allclose(y, np.zeros([1, 1, 1, 3]))
    np.testing.assert_allclose(mean, [1, 1, 1])
    np.testing.assert_allclose(variance, [0, 0, 0])


@pytest.mark.parametrize(
    ("shape", "axis", "dtype", "fits"),
    [
        ((2, 4, 4, 2), -1, tf.float32, True),
        ((2, 4, 4, 2), 3, tf.float32, True),
        ((2, 4, 4, 2), 1, tf.float32, False),
        ((32, 2), -1, tf.float32, False),
        ((2, 4, 4, 2), -1, tf.float16, False),
    ],
)
def test_what_it_is_for(shape, axis, dtype, fits):
    assert image_norm.fits(tf.zeros(shape, dtype), axis) is fits


def test_the_kernel_is_for_large_images_of_known_number():
    def operations(shape):
        spec = tf.TensorSpec(shape, tf.float32)
        traced = tf.function(lambda x: image_norm.image_norm(x, tf.ones([2]), tf.zeros([2]), 0.1))
        return {node.type for node in traced.get_concrete_function(spec).graph.get_operations()}

    assert "FusedBatchNormV3" in operations([32, 32, 32, 2])
    assert "FusedBatchNormV3" not in operations([31, 32, 32, 2])
    assert "FusedBatchNormV3" not in operations([None, 32, 32, 2])
