"""The check of a model's own meta-gradient: what it trusts, and which layer it names."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.gradient_check import check_meta_gradient

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def episode():
    random = np.random.default_rng(0)
    inputs = tf.constant(random.standard_normal((12, 9, 9, 2)), tf.float32)
    targets = tf.constant([0, 1, 2] * 4)
    return Episode(inputs[:6], targets[:6], inputs[6:], targets[6:])


def learner(*layers):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            keras.layers.Conv2D(4, 3, activation="tanh"),
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    return MetaLearner(model, LOSS, alpha_init=0.1)


@pytest.mark.parametrize(
    "layers",
    [
        (),
        (keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.MaxPooling2D()),
        (keras.layers.UpSampling2D(interpolation="bilinear"), keras.layers.Dropout(0.5)),
    ],
)
def test_right_meta_gradients_are_trusted(layers):
    check = check_meta_gradient(learner(*layers), episode())
    assert check.trusted and not check.layers and check.error < 0.01
    assert str(check).startswith("the meta-gradient agrees with central differences")


def resize(x):
    # The operation itself, whose second derivative TensorFlow takes for 0.
    return tf.raw_ops.ResizeBilinear(images=x, size=[5, 5])


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (resize, "its second derivative is wrong"),
        (tf.nn.local_response_normalization, "it has no second derivative"),
    ],
)
def test_a_layer_without_right_second_derivatives_is_named(function, problem):
    check = check_meta_gradient(learner(keras.layers.Lambda(function, name="odd")), episode())
    assert not check.trusted
    assert list(check.layers) == ["odd (Lambda)"]
    assert f"not to be trusted (odd (Lambda): {problem}" in str(check)
