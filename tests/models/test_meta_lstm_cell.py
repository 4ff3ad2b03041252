"""Meta-LSTM's cell: its LSTM is Keras's, gates are as in NumPy, and it starts as in the paper."""

import keras
import numpy as np
import pytest

from models.meta_lstm_cell import MetaLSTMCell
from tests import meta_lstm_in_numpy as in_numpy

RANDOM = np.random.default_rng(0)
THETA = RANDOM.standard_normal(5).astype(np.float32)
LOSSES = [np.array([1.5]), np.array([1e-6])]
GRADIENTS = [
    RANDOM.standard_normal(5).astype(np.float32),
    np.array([-2, 0, 1e-5, -1e-5, 0.1], np.float32),
]


def cell(seed=3):
    """Returns a cell in which everything matters."""
    made = MetaLSTMCell(4, seed)
    for variable in made.trainable_variables:
        variable.assign(np.random.default_rng(len(variable.shape)).normal(0, 0.7, variable.shape))
    return made


def features(loss, gradient):
    rows = [in_numpy.preprocessed(np.full(5, loss)), in_numpy.preprocessed(gradient)]
    return np.concatenate(rows, axis=1).astype(np.float32)


def test_two_steps_are_as_in_numpy():
    made = cell()
    state = made.initial_state(THETA)
    for loss, gradient in zip(LOSSES, GRADIENTS, strict=True):
        theta, state = made([features(loss, gradient), gradient], state)
    expected = in_numpy.updated(in_numpy.by_name(made), THETA, LOSSES, GRADIENTS)
    np.testing.assert_allclose(theta, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(state[0], theta)
    assert np.abs(expected - THETA).min() > 0.05


def test_its_hidden_states_are_those_of_keras_lstm():
    made = cell()
    state = made.initial_state(THETA)
    hidden = [np.zeros([5, 4], np.float32)] * 2
    for loss, gradient in zip(LOSSES, GRADIENTS, strict=True):
        x = features(loss, gradient)
        _, state = made([x, gradient], state)
        _, hidden = made.lstm(x, hidden)
        for ours, theirs in zip(state[2:], hidden, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_coordinates_do_not_influence_each_other():
    made, order = cell(), [3, 1, 4, 0, 2]
    x = features(LOSSES[0], GRADIENTS[0])
    theta, _ = made([x, GRADIENTS[0]], made.initial_state(THETA))
    permuted, _ = made([x[order], GRADIENTS[0][order]], made.initial_state(THETA[order]))
    np.testing.assert_allclose(permuted, np.array(theta)[order], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_at_first_a_step_is_one_of_gradient_descent_with_a_small_rate(seed):
    made = MetaLSTMCell(20, seed)
    values = in_numpy.by_name(made)
    assert 4 <= values.pop("forget_bias") <= 5 and -5 <= values.pop("input_bias") <= -4
    assert all(np.abs(value).max() <= 0.01 for value in values.values())
    assert all(np.abs(value).max() > 0.005 for value in values.values())
    theta, _ = made([features(LOSSES[0], GRADIENTS[0]), GRADIENTS[0]], made.initial_state(THETA))
    left = np.array(theta) + 0.0125 * GRADIENTS[0]  # The rate is in [0.0067, 0.018].
    np.testing.assert_allclose(left, THETA, rtol=0.02, atol=0.013)


def test_values_are_drawn_by_the_seed():
    one, same, other = (
        np.concatenate([np.ravel(v) for v in MetaLSTMCell(20, seed).trainable_variables])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.mean(one == other) < 0.01


def test_it_has_the_size_of_the_authors():
    count = sum(np.prod(v.shape) for v in MetaLSTMCell(20, 0).trainable_variables)
    assert count == (4 + 20 + 1) * 80 + 2 * (20 + 2 + 1)
    assert keras.layers.LSTMCell in [type(MetaLSTMCell(20, 0).lstm)]
