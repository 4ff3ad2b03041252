"""Convolutions and poolings as products against TensorFlow's own, with their gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainers.batching import as_products

SIZES = (7, 6, 5)
CHANNELS = 4
PADDINGS = ("same", "valid")


def convolutions(rank, padding):
    kind = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    for stride, dilation in ((1, 1), (2, 1), (1, 2)):
        yield kind(4, 3, strides=stride, dilation_rate=dilation, padding=padding)
    yield kind(4, 2, strides=3, padding=padding)
    if rank < 3:
        yield kind(4, 3, strides=2, groups=2, padding=padding)


def transposed(rank, padding):
    kind = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)[rank - 1]
    yield from (kind(4, 3, strides=stride, padding=padding) for stride in (1, 2))


def depthwise(rank, padding):
    kind = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)[rank - 1]
    for stride, dilation in ((1, 1), (2, 1), (1, 2)):
        yield kind(3, strides=stride, dilation_rate=dilation, depth_multiplier=2, padding=padding)
    yield (layers.SeparableConv1D, layers.SeparableConv2D)[rank - 1](
        5, 3, strides=2, padding=padding
    )


def poolings(rank, padding):
    for kind in (
        (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)[rank - 1],
        (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)[rank - 1],
    ):
        yield from (kind(size, stride, padding) for size, stride in ((2, 2), (3, 2), (3, 1)))


MAKERS = [
    (convolutions, 1),
    (convolutions, 2),
    (convolutions, 3),
    (transposed, 1),
    (transposed, 2),
    (transposed, 3),
    (depthwise, 1),
    (depthwise, 2),
    (poolings, 1),
    (poolings, 2),
    (poolings, 3),
]


def outputs_and_gradients(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(tf.sin(outputs))
    return [outputs, *tape.gradient(loss, [inputs, *layer.trainable_variables])]


@pytest.mark.parametrize(("makers", "rank"), MAKERS)
def test_it_is_what_tensorflow_computes(makers, rank):
    keras.utils.set_random_seed(0)
    inputs = np.random.default_rng(1).normal(size=(2, *SIZES[:rank], CHANNELS))
    inputs = tf.constant(inputs, tf.float32)
    for layer in (layer for padding in PADDINGS for layer in makers(rank, padding)):
        layer.build(inputs.shape)
        expected = outputs_and_gradients(layer, inputs)
        with as_products.as_products():
            made = outputs_and_gradients(layer, inputs)
        for one, other in zip(expected, made, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_channels_first_is_channels_last_turned():
    inputs = tf.constant(np.random.default_rng(2).normal(size=(2, 4, 7, 6)), tf.float32)
    filters = tf.constant(np.random.default_rng(3).normal(size=(3, 3, 4, 2)), tf.float32)
    last = tf.nn.convolution(tf.transpose(inputs, [0, 2, 3, 1]), filters, 2, "SAME")
    first = as_products.convolution(inputs, filters, 2, "SAME", data_format="NCHW")
    np.testing.assert_allclose(tf.transpose(last, [0, 3, 1, 2]), first, rtol=1e-4, atol=1e-5)


def test_of_equal_entries_the_first_has_the_gradient():
    inputs = tf.zeros([1, 4, 1])
    with as_products.as_products(), tf.GradientTape() as tape:
        tape.watch(inputs)
        pooled = tf.nn.max_pool(inputs, 2, 2, "VALID")
    gradient = tape.gradient(pooled, inputs)
    np.testing.assert_array_equal(gradient[0, :, 0], [1, 0, 1, 0])


def test_tensorflows_functions_are_back_afterwards():
    before = {name: getattr(tf.nn, name) for name in as_products.REPLACED}
    with pytest.raises(KeyError), as_products.as_products():
        assert as_products.active() and tf.nn.max_pool is not before["max_pool"]
        raise KeyError
    assert not as_products.active()
    assert {name: getattr(tf.nn, name) for name in as_products.REPLACED} == before


IMAGE = tf.constant(np.random.default_rng(3).standard_normal((2, 4, 4, 3)), tf.float32)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("window", [2, [2], [2, 2], [1, 2, 2, 1]])
def test_windows_may_be_given_in_each_of_tensorflows_forms(name, window):
    expected = getattr(tf.nn, name)(IMAGE, window, window, "VALID")
    with as_products.as_products():
        found = getattr(tf.nn, name)(IMAGE, window, window, "VALID")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("window", "padding"),
    [([1, 2, 2, 3], "VALID"), (2, [[0, 0], [1, 1], [1, 1], [0, 0]])],
    ids=["over channels", "padding by numbers"],
)
def test_what_is_not_written_here_is_refused(window, padding):
    with as_products.as_products(), pytest.raises(NotImplementedError):
        tf.nn.max_pool(IMAGE, window, 2, padding)


def test_an_infinite_entry_is_not_the_largest_of_its_window_and_spoils_none():
    image = tf.tensor_scatter_nd_update(IMAGE, [[0, 0, 0, 0]], [-np.inf])
    expected = tf.nn.max_pool(image, 2, 2, "VALID")
    with as_products.as_products():
        found = tf.nn.max_pool(image, 2, 2, "VALID")
    np.testing.assert_array_equal(found, expected)
