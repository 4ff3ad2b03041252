"""The regressor against what the paper says of it."""

import numpy as np
import pytest

from models.mlp import mlp


def test_parameters_are_those_of_1_40_40_1():
    model = mlp((1,), 1, seed=0)
    shapes = [tuple(weight.shape) for weight in model.trainable_variables]
    assert shapes == [(1, 40), (40,), (40, 40), (40,), (40, 1), (1,)]
    assert model.count_params() == (40 + 40) + (1600 + 40) + (40 + 1) == 1761


def test_weights_are_a_truncated_normal_and_biases_zero():
    kernels, biases = [], []
    for seed in range(5):
        values = [weight.numpy() for weight in mlp((1,), 1, seed).trainable_variables]
        kernels += [np.ravel(kernel) for kernel in values[::2]]
        biases += values[1::2]
    drawn = np.concatenate(kernels)
    assert 0.019 < np.abs(drawn).max() <= 0.02  # Cut at two standard deviations.
    # A normal cut there keeps 0.8796 of its standard deviation; 8,400 numbers tell it to 1 %.
    assert drawn.std() == pytest.approx(0.01 * 0.8796, rel=0.03)
    assert abs(drawn.mean()) < 4e-4
    assert not np.any(np.concatenate(biases))


def test_layers_do_not_repeat_one_draw():
    first, _, second, _, last, _ = [
        np.ravel(weight.numpy()) for weight in mlp((1,), 1, seed=0).trainable_variables
    ]
    assert not np.array_equal(first, second[:40])
    assert not np.array_equal(first, last)


def test_weights_follow_the_seed():
    one, same, other = [
        [weight.numpy() for weight in mlp((1,), 1, seed).trainable_variables] for seed in (3, 3, 4)
    ]
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(not np.array_equal(a, b) for a, b in zip(one[::2], other[::2], strict=True))


def test_outputs_are_relu_layers_then_a_linear_one():
    model = mlp((3,), 2, seed=0, hidden=(4, 5), stddev=1.0)
    inputs = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    w1, b1, w2, b2, w3, b3 = [
        weight.numpy().astype(np.float64) + 0.1 * number
        for number, weight in enumerate(model.trainable_variables)
    ]
    model.set_weights([w1, b1, w2, b2, w3, b3])
    hidden = np.maximum(np.maximum(inputs @ w1 + b1, 0) @ w2 + b2, 0)
    outputs = model(inputs)
    assert outputs.shape == (7, 2) and outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, hidden @ w3 + b3, rtol=1e-4, atol=1e-4)
