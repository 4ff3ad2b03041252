"""ANIL: inner steps on the last layer alone, and the same numbers as with rates of 0 elsewhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.anil import last_layer
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.direction import direction_cosines
from trainers.supervised.meta_gradient import meta_gradient

RANDOM = np.random.default_rng(0)
X, Y = (tf.constant(RANDOM.standard_normal((8, n)), tf.float32) for n in (3, 1))
TASK = Episode(X[:4], Y[:4], X[4:], Y[4:])
SEED = tf.constant([1, 2])


def model():
    keras.utils.set_random_seed(0)
    body = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")])
    last = [keras.layers.Dense(1, name="last"), keras.layers.Activation("linear")]
    return keras.Sequential([keras.Input((3,)), body, *last])


def anil(**options):
    made = model()
    return MetaLearner(made, "mse", adapted=last_layer(made), alpha_init=0.3, **options)


def with_rates_of_0():
    learner = MetaLearner(model(), "mse", alpha_init=0.3)
    for rate in learner.alpha.rates[:2]:
        rate.assign(tf.zeros_like(rate))
    return learner


def test_the_last_layer_is_the_last_with_weights():
    assert last_layer(model()) == [2, 3]


@pytest.mark.parametrize("steps", [1, 3])
def test_it_adapts_as_with_rates_of_0_elsewhere(steps):
    ours = anil().adapt(*TASK[:2], steps=steps)
    theirs = with_rates_of_0().adapt(*TASK[:2], steps=steps)
    for number, (a, b, start) in enumerate(zip(ours, theirs, anil().theta, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert np.array_equal(a, start.numpy()) == (number < 2)


def test_its_meta_gradient_reaches_the_body():
    learner, other = anil(), with_rates_of_0()
    assert len(learner.alpha.rates) == 2
    gradients = []
    for made in (learner, other):
        values = [tf.convert_to_tensor(variable) for variable in made.meta_variables]
        gradients.append(meta_gradient(made, values, TASK, SEED)[0])
    ours, theirs = gradients
    for a, b in zip(ours, [*theirs[:4], *theirs[6:]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert np.abs(ours[0]).max() > 1e-3


def test_the_learned_direction_is_of_the_weights_that_adapt():
    supports = (X[tf.newaxis, :4], Y[tf.newaxis, :4])
    cosines = direction_cosines(anil(), lambda: supports)()
    assert cosines.keys() == {"all_layers", "last"}
    assert cosines["all_layers"] == pytest.approx(1.0)
