"""Whose statistics batch normalisation uses, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.stateless.batch_norm import batch_statistics

RANDOM = np.random.default_rng(0)
SUPPORT, QUERY = (RANDOM.normal(1.0, 2.0, (n, 3)).astype("float32") for n in (6, 5))
TARGETS = RANDOM.normal(size=(6, 2)).astype("float32")
EPSILON = 1e-3


def learner(batch_norm, inner_steps=1):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, use_bias=False),
            keras.layers.BatchNormalization(epsilon=EPSILON),
            keras.layers.Dense(2),
        ]
    )
    return MetaLearner(model, "mse", alpha_init=0.1, inner_steps=inner_steps, batch_norm=batch_norm)


def by_hand(weights, inputs, normalised_by):
    kernel, gamma, beta, out_kernel, out_bias = (np.asarray(w, np.float64) for w in weights)
    reference = normalised_by @ kernel
    hidden = (inputs @ kernel - reference.mean(0)) / np.sqrt(reference.var(0) + EPSILON)
    return (gamma * hidden + beta) @ out_kernel + out_bias


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_queries_are_normalised_by_the_statistics_that_the_mode_names(batch_norm, steps):
    made = learner(batch_norm)
    adapted = made.adapt(SUPPORT, TARGETS, steps=steps)
    reference = SUPPORT if batch_norm == "support" else QUERY
    expected = by_hand(adapted[:5], QUERY, reference)
    np.testing.assert_allclose(made.predict(adapted, QUERY), expected, rtol=1e-4, atol=1e-5)


def test_only_transductive_predictions_depend_on_their_neighbours():
    for batch_norm, depends in (("transductive", True), ("support", False)):
        made = learner(batch_norm)
        adapted = made.adapt(SUPPORT, TARGETS)
        together, alone = made.predict(adapted, QUERY)[:2], made.predict(adapted, QUERY[:2])
        assert np.allclose(together, alone, rtol=1e-5, atol=1e-6) != depends


def test_a_support_set_is_learned_alike_in_both_modes():
    one, other = (
        learner(mode).adapt(SUPPORT, TARGETS, steps=2) for mode in ("transductive", "support")
    )
    assert (len(one), len(other)) == (5, 7)
    for a, b in zip(one, other[:5], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_was_adapted_is_adapted_further():
    made = learner("support")
    at_once = made.adapt(SUPPORT, TARGETS, steps=3)
    by_steps = made.adapt(SUPPORT, TARGETS, steps=2)
    by_steps = made.adapt(SUPPORT, TARGETS, steps=1, theta=by_steps)
    for a, b in zip(at_once, by_steps, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_layer_that_is_called_twice_has_statistics_of_each_call():
    inputs = keras.Input((3,))
    norm = keras.layers.BatchNormalization(epsilon=EPSILON, scale=False, center=False)
    shifted = keras.layers.Dense(3, use_bias=False, kernel_initializer="orthogonal")
    model = keras.Model(inputs, norm(shifted(norm(inputs))))
    made = MetaLearner(model, "mse", alpha_init=0.0, batch_norm="support")
    adapted = made.adapt(SUPPORT, SUPPORT)
    assert len(adapted) == 1 + 4
    kernel = adapted[0].numpy()

    def normal(values, reference):
        return (values - reference.mean(0)) / np.sqrt(reference.var(0) + EPSILON)

    first = normal(SUPPORT, SUPPORT) @ kernel
    expected = normal(normal(QUERY, SUPPORT) @ kernel, first)
    np.testing.assert_allclose(made.predict(adapted, QUERY), expected, rtol=1e-4, atol=1e-5)


def test_a_network_without_batch_normalisation_has_nothing_to_add():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    made = MetaLearner(model, "mse", alpha_init=0.1, batch_norm="support")
    assert len(made.adapt(SUPPORT, TARGETS)) == 2


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="batch_norm='none': should be one of transductive, supp"):
        learner("none")


def test_both_modes_work_when_traced():
    made = learner("support")
    traced = tf.function(lambda: made.predict(made.adapt(SUPPORT, TARGETS), QUERY))
    expected = made.predict(made.adapt(SUPPORT, TARGETS), QUERY)
    np.testing.assert_allclose(traced(), expected, rtol=1e-5, atol=1e-6)


IMAGES = RANDOM.normal(1.0, 2.0, (4, 5, 3, 2)).astype("float32")
GAMMA, BETA = np.array([0.5, 2.0], np.float32), np.array([3.0, -1.0], np.float32)


def built(axis=-1, **settings):
    """Returns a layer for images whose γ and β, where it has them, are GAMMA and BETA."""
    channels = {1: 5, 2: 3}.get(axis, 2)
    layer = keras.layers.BatchNormalization(axis=axis, epsilon=EPSILON, **settings)
    layer.build((None, 5, 3, 2))
    if layer.scale:
        layer.gamma.assign(np.resize(GAMMA, channels))
    if layer.center:
        layer.beta.assign(np.resize(BETA, channels))
    return layer


def normalised(layer, inputs, given=None):
    with batch_statistics([layer], given) as used:
        outputs = layer(inputs, training=False)
    return outputs.numpy(), [np.ravel(part) for part in used]


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("axis", [-1, 3, 1, 2])
def test_each_channel_of_images_is_normalised_scaled_and_offset(axis, scale, center):
    layer = built(axis, scale=scale, center=center)
    outputs, used = normalised(layer, IMAGES)
    moved = np.moveaxis(IMAGES.astype(np.float64), axis, -1)
    mean, variance = moved.mean((0, 1, 2)), moved.var((0, 1, 2))
    expected = (moved - mean) / np.sqrt(variance + EPSILON)
    expected = expected * (np.resize(GAMMA, mean.shape) if scale else 1)
    expected = expected + (np.resize(BETA, mean.shape) if center else 0)
    np.testing.assert_allclose(outputs, np.moveaxis(expected, -1, axis), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(used, [mean, variance], rtol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1])
def test_given_statistics_are_used_and_told_in_the_batchs_place(axis):
    layer = built(axis)
    moved = np.moveaxis(IMAGES.astype(np.float64), axis, -1)
    shape = [1, 1, 1, 2] if axis == -1 else [1, 5, 1, 1]
    mean, variance = np.arange(moved.shape[-1]) + 1.0, np.arange(moved.shape[-1]) + 0.5
    given = [tf.reshape(tf.cast(part, tf.float32), shape) for part in (mean, variance)]
    outputs, used = normalised(layer, IMAGES, given)
    expected = np.resize(GAMMA, mean.shape) * (moved - mean) / np.sqrt(variance + EPSILON)
    expected = expected + np.resize(BETA, mean.shape)
    np.testing.assert_allclose(outputs, np.moveaxis(expected, -1, axis), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(used, [mean, variance])
    assert len(given) == 2  # For other calls.


@pytest.mark.parametrize("axis", [-1, 1])
def test_moving_averages_go_on_by_their_momentum(axis):
    layer = built(axis, momentum=0.75)
    kept = np.moveaxis(IMAGES, axis, -1)
    layer.moving_mean.assign(np.full(kept.shape[-1], 2.0, np.float32))
    layer.moving_variance.assign(np.full(kept.shape[-1], 4.0, np.float32))
    normalised(layer, IMAGES)
    mean, variance = kept.mean((0, 1, 2)), kept.var((0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, 1.5 + 0.25 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 3.0 + 0.25 * variance, rtol=1e-5)


def test_a_layer_is_left_as_it_was():
    layer = built()
    before = set(vars(layer))
    normalised(layer, IMAGES)
    assert set(vars(layer)) == before
    np.testing.assert_array_equal(layer.moving_variance.shape, [2])
    in_inference = layer(IMAGES, training=False)
    assert not np.allclose(in_inference, normalised(layer, IMAGES)[0])


def test_a_frozen_layer_uses_and_keeps_its_moving_averages():
    layer = built(trainable=False)
    layer.moving_mean.assign([1.0, 2.0])
    layer.moving_variance.assign([4.0, 9.0])
    outputs, used = normalised(layer, IMAGES)
    expected = GAMMA * (IMAGES - [1.0, 2.0]) / np.sqrt(np.array([4.0, 9.0]) + EPSILON) + BETA
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert used == []
    np.testing.assert_array_equal(layer.moving_mean, [1.0, 2.0])


def test_entries_that_a_mask_leaves_out_count_for_nothing():
    """By Keras itself, which normalises by what the mask leaves, as in training."""
    layer = keras.layers.BatchNormalization(epsilon=EPSILON)
    inputs, mask = IMAGES[:, :, 0], np.arange(5) < np.array([[5], [3], [2], [4]])
    layer.build(inputs.shape)
    with batch_statistics([layer]) as used:
        outputs = layer(inputs, training=False, mask=tf.constant(mask))
    valid = inputs[mask]
    expected = (inputs - valid.mean(0)) / np.sqrt(valid.var(0) + EPSILON)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    assert used == []


def test_what_the_layer_does_beyond_the_batch_is_left_to_keras():
    """Synchronised layers average over replicas; alone they do as in training."""
    layer, plain = built(synchronized=True), built()
    outputs, used = normalised(layer, IMAGES)
    np.testing.assert_allclose(outputs, plain(IMAGES, training=True), rtol=1e-4, atol=1e-5)
    assert used == []


@pytest.mark.parametrize("options", [{"synchronized": True}, {"masked": True}])
def test_what_cannot_take_the_support_sets_statistics_is_refused(options):
    masks = [keras.layers.Masking()] if options.pop("masked", False) else []
    norm = keras.layers.BatchNormalization(name="norm", **options)
    model = keras.Sequential([keras.Input((5, 3)), *masks, norm])
    learner = MetaLearner(model, "mse", batch_norm="support")
    inputs = tf.ones([4, 5, 3])
    with pytest.raises(InputError, match="batch_norm=support: norm has a mask, renorm or synchron"):
        learner.adapt(inputs, inputs)


@pytest.mark.parametrize("trainable", [True, False])
def test_only_layers_that_are_not_frozen_normalise_queries_together(trainable):
    norm = keras.layers.BatchNormalization(trainable=trainable)
    model = keras.Sequential([keras.Input((3,)), norm, keras.layers.Dense(1)])
    learner = MetaLearner(model, "mse")
    assert learner.normalises_together == trainable
    state = learner.adapt(tf.eye(3), tf.ones([3, 1]))
    together = learner.predict(state, tf.eye(3))[:1]
    alone = learner.predict(state, tf.eye(3)[:1])
    assert np.allclose(together, alone, atol=1e-6) != trainable


def test_in_training_the_support_sets_statistics_have_dropout_too():
    layers = [keras.layers.Dropout(0.5), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    learner = MetaLearner(model, "mse", batch_norm="support")
    inputs = tf.constant(np.random.default_rng(0).standard_normal((4000, 3)), tf.float32)
    for training, growth in ((False, 1.0), (True, 2.0)):
        # Half of the entries are 0 and the others twice as large: twice the variance around 0.
        seed = tf.constant([1, 2]) if training else None
        state = learner.adapt(inputs, inputs, steps=0, training=training, seed=seed)
        np.testing.assert_allclose(
            tf.reshape(state[-1], [-1]), growth * np.var(inputs, 0), rtol=0.15
        )
