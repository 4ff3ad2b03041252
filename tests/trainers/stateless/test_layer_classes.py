"""Layers whose classes Keras's users subclass, or that write to their weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner

layers = keras.layers
X = tf.constant(np.random.default_rng(0).standard_normal((6, 3)), tf.float32)
Y = tf.reduce_sum(X, 1, keepdims=True)


class Doubled(keras.layers.BatchNormalization):
    def call(self, x, training=None, mask=None):
        return 2.0 * super().call(x, training=training, mask=mask)


class AtStep(keras.layers.BatchNormalization):
    def call(self, x, step=0, training=None):
        return super().call(x, training=training) * (step + 1)


class WithoutKeras(keras.layers.BatchNormalization):
    def call(self, x, training=None):
        return x + self.beta + 0.0 * self.gamma


def learner_of(*parts):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((3,))
    for part in (layers.Dense(5), *parts, layers.Dense(1)):
        x = part(x)
    return MetaLearner(keras.Model(inputs, x), "mse", alpha_init=0.1)


def theta(learner):
    return [weight.value for weight in learner.theta]


def normalised(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)


@pytest.mark.parametrize(
    ("layer", "scale"),
    [
        (layers.BatchNormalization(), 1.0),
        (Doubled(), 2.0),
        (lambda x: AtStep()(x, step=2), 3.0),
    ],
)
def test_a_subclass_keeps_its_own_call(layer, scale):
    learner = learner_of(layer)
    first, last = learner.model.layers[1], learner.model.layers[-1]
    expected = scale * normalised(np.asarray(first(X))) @ last.kernel.numpy()
    np.testing.assert_allclose(learner.predict(theta(learner), X), expected, atol=1e-5)


def test_one_that_does_not_call_keras_is_left_alone():
    learner = learner_of(WithoutKeras())
    first, last = learner.model.layers[1], learner.model.layers[-1]
    expected = np.asarray(first(X)) @ last.kernel.numpy()
    np.testing.assert_allclose(learner.predict(theta(learner), X), expected, atol=1e-5)


def test_classes_are_what_they_were_afterwards():
    learner = learner_of(Doubled(), layers.SpectralNormalization(layers.Dense(4)))
    kinds = [type(layer) for layer in learner.model.layers]
    learner.adapt(X, Y)
    assert [type(layer) for layer in learner.model.layers] == kinds
    assert Doubled in kinds


def test_spectral_normalisation_acts_in_training_and_afterwards():
    learner = learner_of(layers.SpectralNormalization(layers.Dense(4, use_bias=False)))
    first, norm, last = learner.model.layers[1:]
    u, kernel = norm.vector_u.numpy(), norm.kernel.numpy()
    # One step of the power iteration, as Miyato et al. (2018) have it.
    v = u @ kernel.T
    v /= np.linalg.norm(v)
    u = v @ kernel
    u /= np.linalg.norm(u)
    sigma = (v @ kernel @ u.T).item()
    expected = np.asarray(first(X)) @ kernel / sigma @ last.kernel.numpy()
    for training in (True, False):
        outputs = learner.pure_model(theta(learner), X, training=training).outputs
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_array_equal(norm.kernel.numpy(), kernel)


class Assigning(keras.layers.Layer):
    """Keeps its weight positive by writing to it."""

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

    def call(self, x, training=False):
        self.scale.assign(tf.abs(self.scale) * 0.5)
        return x * self.scale


def test_a_layer_that_assigns_to_its_weight_is_refused_by_name():
    with pytest.raises(InputError, match=r"assigns to its trainable weight own/scale in its call"):
        learner_of(Assigning(name="own")).adapt(X, Y)


def test_the_variables_themselves_may_be_the_weights():
    learner = learner_of(layers.Dense(4))
    np.testing.assert_array_equal(
        learner.predict(learner.theta, X), learner.predict(theta(learner), X)
    )


@pytest.mark.parametrize("frozen", [True, False])
def test_layers_that_are_frozen_later_are_refused(frozen):
    layer = layers.Dense(4, trainable=frozen, name="own")
    learner = learner_of(layer)
    learner.adapt(X, Y)
    layer.trainable = not frozen
    kind = "frozen" if frozen else "unfrozen"
    with pytest.raises(InputError, match=rf"own/\w+ was {kind} after the learner was made"):
        learner.adapt(X, Y)


@pytest.mark.parametrize("mode", ["full", "activations", "list_of_layers"])
def test_rematerialised_layers_adapt_as_others_do(mode):
    plain = learner_of(layers.Dense(4, "tanh", name="own"))
    scope = {"layer_names": ["own"]} if mode == "list_of_layers" else {}
    with keras.RematScope(mode=mode, **scope):
        layer = layers.Dense(4, "tanh", name="own")
    learner = learner_of(layer)
    for ours, theirs in zip(learner.adapt(X, Y), plain.adapt(X, Y), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert layer._remat_mode is not None
