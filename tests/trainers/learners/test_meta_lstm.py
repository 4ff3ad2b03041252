"""Meta-LSTM on a linear model, whose gradients are worked out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import meta_lstm_in_numpy as in_numpy
from trainers.episodes import Episode
from trainers.learners.meta_lstm import MetaLstm, preprocessed
from trainers.supervised.meta_gradient import meta_gradient

RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.standard_normal((9, n)).astype(np.float32) for n in (2, 2))
SUPPORT, QUERY = (X[:4], Y[:4]), (X[4:], Y[4:])
SEED = tf.constant([1, 2])
STEPS = 3


def model(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), *layers])


def learner(*layers, **options):
    """Returns a learner in whose cell everything matters."""
    made = MetaLstm(model(*layers), "mse", **{"inner_steps": STEPS, **options})
    for number, variable in enumerate(made.cell.trainable_variables):
        variable.assign(np.random.default_rng(number).normal(0, 0.5, variable.shape))
    return made


def loss_and_gradient(theta, inputs, targets):
    """Returns the mean squared error of a linear model, and its gradient by θ [P]."""
    kernel, bias = theta[:4].reshape(2, 2), theta[4:]
    error = inputs @ kernel + bias - targets
    by_outputs = 2 * error / error.size
    return np.mean(error**2), np.concatenate([np.ravel(inputs.T @ by_outputs), by_outputs.sum(0)])


def flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights]).astype(np.float64)


def steps_met(made, steps=STEPS):
    """Returns θ after the steps, and the losses and gradients that they met."""
    values, theta = in_numpy.by_name(made.cell), flat(made.theta)
    losses, gradients = [], []
    for step in range(steps):
        now = in_numpy.updated(values, theta, losses, gradients) if step else theta
        loss, gradient = loss_and_gradient(now, *SUPPORT)
        losses.append(loss)
        gradients.append(gradient)
    return in_numpy.updated(values, theta, losses, gradients), losses, gradients


def adapted(made, **options):
    return made.adapt(*map(tf.constant, SUPPORT), **options)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (np.e, (0.1, 1.0)),
        (-np.exp(-5), (-0.5, -1.0)),
        (np.exp(-10), (-1.0, 1.0)),
        (-np.exp(-11), (-1.0, -np.exp(-1))),
        (0.0, (-1.0, 0.0)),
        (1e6, (np.log(1e6) / 10, 1.0)),
    ],
)
def test_numbers_are_split_into_size_and_sign(number, expected):
    np.testing.assert_allclose(preprocessed(tf.constant([number])), [expected], rtol=1e-5)


def test_it_adapts_as_in_numpy():
    made = learner()
    expected, losses, _ = steps_met(made)
    np.testing.assert_allclose(flat(adapted(made)), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(losses) > 0.1


def test_its_meta_gradient_is_that_of_constant_inner_gradients():
    made = learner()
    _, losses, gradients = steps_met(made)
    values = [tf.convert_to_tensor(variable) for variable in made.meta_variables]
    episode = Episode(*map(tf.constant, (*SUPPORT, *QUERY)))
    found, scores, _ = meta_gradient(made, values, episode, SEED)
    names = [variable.name for variable in made.cell.trainable_variables]

    def loss(moved):
        cell = dict(zip(names, moved[2:], strict=True))
        theta = in_numpy.updated(cell, flat(moved[:2]), losses, gradients)
        return loss_and_gradient(theta, *QUERY)[0]

    at = [value.numpy().astype(np.float64) for value in values]
    np.testing.assert_allclose(scores["loss"], loss(at), rtol=1e-5)
    for number, gradient in enumerate(found):
        for _ in range(2):
            along = RANDOM.standard_normal(gradient.shape)
            up, down = (
                loss([v + sign * 1e-5 * along if n == number else v for n, v in enumerate(at)])
                for sign in (1, -1)
            )
            slope = np.sum(gradient.numpy() * along)
            np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-3, atol=1e-5)
        assert np.abs(gradient).max() > 1e-4


def test_no_second_derivative_is_taken():
    @tf.custom_gradient
    def once(x):
        def gradient(dy):
            @tf.custom_gradient
            def first(dy):
                def second(_):
                    raise AssertionError("a second derivative was taken")

                return dy, second

            return first(dy)

        return x, gradient

    made = learner(keras.layers.Activation(once))
    values = [tf.convert_to_tensor(variable) for variable in made.meta_variables]
    episode = Episode(*map(tf.constant, (*SUPPORT, *QUERY)))
    meta_gradient(made, values, episode, SEED)
    assert not made.differentiates_twice


def test_what_is_meta_trained_is_the_start_and_the_cell():
    made = learner()
    names = [variable.name for variable in made.meta_variables]
    assert names == ["kernel", "bias", *(v.name for v in made.cell.trainable_variables)]
    assert len(names) == 2 + 6


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_each_state_is_that_of_as_many_steps(batch_norm):
    made = learner(keras.layers.BatchNormalization(), batch_norm=batch_norm)
    states = made.adapt_stepwise(*map(tf.constant, SUPPORT), STEPS + 1)
    assert len(states) == STEPS + 2
    for step, state in enumerate(states):
        assert len(state) == 4 + 2 * (batch_norm == "support")
        for ours, theirs in zip(state, adapted(made, steps=step), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for weight, start in zip(states[0], made.theta, strict=False):
        np.testing.assert_array_equal(weight, start.numpy())


def test_adapting_changes_no_variable_and_does_not_depend_on_the_task_before():
    made = learner(keras.layers.BatchNormalization())
    kept = [
        keras.ops.convert_to_numpy(variable)
        for variable in [*made.model.variables, *made.cell.variables]
    ]
    first = adapted(made)
    made.score(made.adapt(*map(tf.constant, QUERY)), *map(tf.constant, QUERY))
    for ours, theirs in zip(adapted(made), first, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for before, variable in zip(kept, [*made.model.variables, *made.cell.variables], strict=True):
        np.testing.assert_array_equal(before, variable.numpy())


def test_values_from_outside_are_used():
    made = learner()
    given = [0.5 * tf.convert_to_tensor(variable) for variable in made.meta_variables]
    found = adapted(made, values=given)
    for variable in made.meta_variables:
        variable.assign(0.5 * variable)
    np.testing.assert_allclose(flat(found), steps_met(made)[0], rtol=1e-4, atol=1e-5)
