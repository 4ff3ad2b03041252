"""Classifiers that give probabilities in place of logits."""

import keras
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.stateless.logits import refuse_logits, refuse_probabilities

layers = keras.layers


def nested():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", name="last")])
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), inner])


def functional(*last):
    x = inputs = keras.Input((4,))
    for layer in (layers.Dense(3), *last):
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("model", "blamed"),
    [
        (
            functional(layers.Dense(3, "softmax", name="last")),
            "the softmax of its layer last (Dense)",
        ),
        (functional(layers.Activation("sigmoid", name="last")), "the sigmoid of its layer last"),
        (functional(layers.Softmax(name="last")), "its layer last (Softmax)"),
        (
            functional(layers.Dense(3, layers.Softmax(), name="last")),
            "the softmax of its layer last",
        ),
        (nested(), "the softmax of its layer last (Dense)"),
    ],
)
def test_the_last_layer_is_named(model, blamed):
    with pytest.raises(InputError) as caught:
        refuse_probabilities(model)
    message = str(caught.value)
    assert blamed in message and "should give logits" in message and "\n" not in message


class Own(keras.Model):
    def __init__(self, softmax):
        super().__init__()
        self.dense, self.softmax = layers.Dense(3), softmax

    def call(self, x):
        x = self.dense(x)
        return tf.nn.softmax(x) if self.softmax else x


def test_a_softmax_in_a_call_of_its_own_is_seen_in_the_outputs():
    x = tf.random.stateless_normal([5, 4], [1, 2])
    model = Own(True)
    with pytest.raises(InputError, match="by what its call ends in; should give logits"):
        refuse_probabilities(model, model(x))
    model = Own(False)
    refuse_probabilities(model, model(x))


@pytest.mark.parametrize("last", [layers.Dense(3), layers.ReLU(), layers.Dense(3, "log_softmax")])
def test_logits_pass(last):
    model = functional(last)
    refuse_probabilities(model, model(tf.random.stateless_normal([5, 4], [1, 2])))
    refuse_probabilities(keras.Model(model.inputs, [model.outputs[0], model.outputs[0]]))


def nested_logits():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="last")])
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), inner])


@pytest.mark.parametrize("model", [functional(layers.Dense(3, name="last")), nested_logits()])
@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.get("sparse_categorical_crossentropy"),
        keras.losses.categorical_crossentropy,
        keras.losses.BinaryCrossentropy(),
    ],
)
def test_logits_for_a_loss_of_probabilities_are_refused(model, loss):
    said = r"crossentropy: takes probabilities, and model='.*' gives logits, by its layer last; sho"
    with pytest.raises(InputError, match=said):
        refuse_logits(model, loss)


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (functional(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (functional(), keras.losses.mean_squared_error),
        (functional(), lambda targets, outputs: targets),
        (functional(layers.Softmax()), keras.losses.sparse_categorical_crossentropy),
        (functional(layers.Dense(3, "sigmoid")), keras.losses.BinaryCrossentropy()),
        (Own(True), keras.losses.sparse_categorical_crossentropy),
    ],
)
def test_what_fits_its_loss_passes(model, loss):
    refuse_logits(model, loss)
