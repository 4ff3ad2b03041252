"""Whose statistics batch normalisation uses, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner

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
