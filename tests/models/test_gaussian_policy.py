"""The policy of 2D navigation, against its formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.gaussian_policy import LogStandardDeviation, gaussian_mlp, gaussian_mlp_of_state

STATES = np.random.default_rng(0).normal(size=[7, 2]).astype(np.float32)


def shuffle(model):
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))


def by_numpy(layers, states):
    """Returns the output of (kernel, bias) pairs with ReLU between them."""
    *hidden, (kernel, bias) = layers
    for inner, offset in hidden:
        states = np.maximum(states @ inner + offset, 0)
    return states @ kernel + bias


def pairs(weights):
    return list(zip(weights[::2], weights[1::2], strict=True))


def test_it_has_the_weights_of_2_100_100_2_and_a_log_standard_deviation_a_coordinate():
    model = gaussian_mlp((2,), 4, seed=0)
    shapes = [tuple(weight.shape) for weight in model.trainable_variables]
    assert shapes == [(2, 100), (100,), (100, 100), (100,), (100, 2), (2,), (2,)]
    assert model.output_shape == (None, 4)
    assert [layer.name for layer in model.layers] == ["hidden_1", "hidden_2", "output", "log_std"]


def test_outputs_are_means_and_the_same_log_standard_deviations_in_every_state():
    model = gaussian_mlp((2,), 4, seed=0, hidden=(5, 3))
    np.testing.assert_array_equal(model(STATES)[:, 2:], np.zeros([7, 2]))
    shuffle(model)
    *weights, log_std = [weight.numpy() for weight in model.trainable_variables]
    outputs = model(STATES).numpy()
    np.testing.assert_allclose(outputs[:, :2], by_numpy(pairs(weights), STATES), rtol=1e-4)
    np.testing.assert_array_equal(outputs[:, 2:], np.tile(log_std, [7, 1]))


def test_log_standard_deviations_may_depend_on_the_state():
    model = gaussian_mlp_of_state((2,), 4, seed=0)
    shapes = [tuple(weight.shape) for weight in model.trainable_variables]
    assert shapes == [(2, 100), (100,), (100, 100), (100,), (100, 4), (4,)]
    assert np.abs(model(np.zeros([1, 2]))).max() < 1e-6  # A standard deviation of 1 at the origin.
    shuffle(model)
    weights = [weight.numpy() for weight in model.trainable_variables]
    outputs = model(STATES).numpy()
    np.testing.assert_allclose(outputs, by_numpy(pairs(weights), STATES), rtol=1e-3, atol=1e-3)
    assert outputs[:, 2:].std(axis=0).min() > 0


@pytest.mark.parametrize("build", [gaussian_mlp, gaussian_mlp_of_state])
def test_weights_follow_the_seed(build):
    one, same, other = (
        [weight.numpy() for weight in build((2,), 4, seed).trainable_variables]
        for seed in (1, 1, 2)
    )
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [number for number, weight in enumerate(one) if weight.ndim == 2]
    assert len(kernels) == 3
    assert all(not np.array_equal(one[number], other[number]) for number in kernels)


def test_the_layer_starts_where_it_is_told_and_is_made_again_from_its_config():
    layer = LogStandardDeviation(-0.5)
    np.testing.assert_array_equal(layer(tf.ones([3, 2])), [[1, 1, -0.5, -0.5]] * 3)
    again = keras.layers.deserialize(
        keras.layers.serialize(layer), {"LogStandardDeviation": LogStandardDeviation}
    )
    np.testing.assert_array_equal(again(tf.ones([3, 2])), layer(tf.ones([3, 2])))
