"""ANIL: inner steps on the last layer alone, and the same numbers as with rates of 0 elsewhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
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


def test_a_last_layer_within_blocks_is_the_last_of_the_last_block():
    layers = [keras.layers.Dense(width, name=name) for width, name in ((4, "first"), (2, "second"))]
    inner = keras.Sequential([keras.Input((3,)), *layers], name="inner")
    block = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(1, name="head")])
    nested = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="body"), block])
    named = [nested.trainable_variables[number].path for number in last_layer(nested)]
    assert [path.split("/")[-2:] for path in named] == [["head", "kernel"], ["head", "bias"]]


@keras.saving.register_keras_serializable(package="tests")
class Scaled(keras.layers.Layer):
    """A layer with a weight of its own and a layer without weights within it."""

    def build(self, input_shape):
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gain")
        self.within = keras.layers.Activation("tanh")

    def call(self, inputs):
        return self.within(inputs * self.gain)


def test_a_layer_with_a_weight_of_its_own_may_have_layers_within_it():
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Scaled()])
    assert last_layer(made) == [2]


def test_a_model_without_a_last_layer_is_refused():
    frozen = keras.layers.Dense(1, trainable=False)
    bare = keras.Sequential([keras.Input((3,)), keras.layers.Activation("tanh"), frozen], name="m")
    with pytest.raises(InputError, match="model='m': has no layer with trainable weights"):
        last_layer(bare)


def test_inner_steps_that_change_nothing_are_refused():
    with pytest.raises(InputError, match="adapted: is empty"):
        MetaLearner(model(), "mse", adapted=[])


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


def test_weights_may_be_numbered_from_the_end():
    made = model()
    count = len(made.trainable_variables)
    learner = MetaLearner(made, "mse", adapted=[-2, -1], alpha_init=0.3, body_alpha_init=0.1)
    assert learner.adapted == [count - 2, count - 1]
    assert learner.alpha.initial_values == [0.3, 0.3]  # They are the last layer's.


@pytest.mark.parametrize("number", [99, -99])
def test_numbers_of_no_weights_are_refused(number):
    with pytest.raises(InputError, match=f"^adapted: has {number}, and model=.* has [0-9]+ weigh"):
        MetaLearner(model(), "mse", adapted=[0, number])


def test_fewer_than_no_steps_are_refused():
    learner, (x, y) = MetaLearner(model(), "mse"), (tf.ones([2, 3]), tf.ones([2, 1]))
    for ask in (
        lambda: learner.adapt(x, y, steps=-3),
        lambda: learner.adapt_stepwise(x, y, -3),
    ):
        with pytest.raises(InputError, match="^steps=-3: should be at least 0$"):
            ask()
