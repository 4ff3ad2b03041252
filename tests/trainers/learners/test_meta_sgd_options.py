"""Which weights inner steps change, where their rates start, and another outer loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.conv4 import conv4
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.anil import last_layer
from trainers.learners.meta_sgd import MetaLearner
from trainers.stateless.batch_norm import all_but_norms
from trainers.supervised.meta_gradient import meta_gradient

SEED = tf.constant([1, 2])


def normalised():
    seeds = keras.random.SeedGenerator(0)
    layers = [
        keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seeds)),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seeds)),
    ]
    return keras.Sequential([keras.Input((2,)), *layers])


def loss(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def task():
    random = np.random.default_rng(2)
    targets = tf.constant([0, 1, 2, 0, 1, 2])
    support, query = (tf.constant(random.normal(size=[6, 2]), tf.float32) for _ in "sq")
    return Episode(support, targets, query, targets)


def test_normalisations_can_be_left_out_of_the_inner_update():
    model = conv4((28, 28, 1), 5, 0)
    every = [variable.path for variable in model.trainable_variables]
    left = [every[number] for number in all_but_norms(model)]
    assert left == [path for path in every if "/norm_" not in path and not path.startswith("norm_")]
    assert len(every) - len(left) == 8


def test_what_is_left_out_stays_and_is_still_meta_trained():
    model = normalised()
    made = MetaLearner(model, loss, adapted=all_but_norms(model), alpha_init=0.5)
    episode = task()
    state = made.adapt(episode.support_inputs, episode.support_targets)
    moved = [
        bool(np.abs(new - old).max() > 1e-6) for new, old in zip(state, made.theta, strict=True)
    ]
    # Not the bias before a normalisation, which cancels it.
    assert moved == [True, False, False, False, True, True]
    values = [tf.convert_to_tensor(value) for value in made.meta_variables]
    gradient, _, _ = meta_gradient(made, values, episode, SEED)
    assert all(np.abs(part).max() > 1e-4 for part in gradient[2:4])
    assert len(gradient) == 6 + 4


def test_rates_of_the_body_may_start_elsewhere():
    model = normalised()
    alpha = MetaLearner(model, loss, alpha_init=0.5, body_alpha_init=0.0).alpha
    assert [float(rate.numpy().min()) for rate in alpha.rates] == [0, 0, 0, 0, 0.5, 0.5]
    assert [float(rate.numpy().max()) for rate in alpha.rates] == [0, 0, 0, 0, 0.5, 0.5]
    layers = MetaLearner(model, loss, alpha="per_layer", alpha_init=0.5, body_alpha_init=0.1).alpha
    np.testing.assert_allclose([rate.numpy() for rate in layers.rates], [0.1, 0.1, 0.5])
    head = MetaLearner(model, loss, adapted=last_layer(model), alpha_init=0.5, body_alpha_init=0.1)
    np.testing.assert_allclose([rate.numpy().max() for rate in head.alpha.rates], [0.5, 0.5])


def test_one_rate_cannot_start_at_two_values():
    with pytest.raises(InputError, match="alpha=scalar: .* shares its rate .* at 0.1, .* at 0.5;"):
        MetaLearner(normalised(), loss, alpha="scalar", alpha_init=0.5, body_alpha_init=0.1)


def test_the_outer_loss_is_what_is_minimised_and_nothing_else():
    def twice_and_one(targets, outputs):
        return 2 * loss(targets, outputs) + 1

    plain, other = (
        MetaLearner(normalised(), loss, alpha_init=0.5, outer_loss=given)
        for given in (None, twice_and_one)
    )
    values = [tf.convert_to_tensor(value) for value in plain.meta_variables]
    expected, scores, _ = plain.objective(values, task(), SEED, 0)
    value, others, _ = other.objective(values, task(), SEED, 0)
    assert float(value) == pytest.approx(2 * float(expected) + 1, rel=1e-6)
    assert float(others["loss"]) == pytest.approx(float(scores["loss"]), rel=1e-6)
    for one, doubled in zip(
        meta_gradient(plain, values, task(), SEED)[0],
        meta_gradient(other, values, task(), SEED)[0],
        strict=True,
    ):
        np.testing.assert_allclose(2 * one, doubled, atol=1e-6)


def test_the_models_own_losses_count_once_beside_the_outer_loss():
    layer = keras.layers.Dense(
        3,
        kernel_initializer=keras.initializers.GlorotUniform(0),
        kernel_regularizer=keras.regularizers.L2(0.1),
    )
    made = MetaLearner(
        keras.Sequential([keras.Input((2,)), layer]),
        loss,
        alpha_init=0.5,
        outer_loss=lambda targets, outputs: 2 * loss(targets, outputs) + 1,
    )
    values, episode = [tf.convert_to_tensor(value) for value in made.meta_variables], task()
    value, scores, _ = made.objective(values, episode, SEED, 0)
    kernel, _ = made.adapt(episode.support_inputs, episode.support_targets)
    penalty = 0.1 * np.sum(np.square(kernel))
    assert penalty > 0.01
    expected = 2 * (float(scores["loss"]) - penalty) + 1 + penalty
    assert float(value) == pytest.approx(expected, rel=1e-5)
