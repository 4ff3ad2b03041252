"""Gradients within a float16 model: right to the second order, and none that vanish."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.stateless.gradient_scale import FIRST, STEADY, GradientScale, precisions
from trainers.supervised.meta_gradient import meta_gradient

SEED = tf.constant([3, 4])


def learner_of(policy, loss="mse", batch_norm="transductive"):
    """Makes a learner whose weights do not depend on the policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(5)
    try:
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(8, "tanh", kernel_regularizer="l2"),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(2),
            ]
        )
    finally:
        keras.config.set_dtype_policy(before)
    return MetaLearner(model, loss, alpha_init=0.3, inner_steps=2, batch_norm=batch_norm)


def task():
    numbers = np.random.default_rng(1)
    return Episode(*(tf.constant(numbers.standard_normal((6, n)), tf.float32) for n in (4, 2) * 2))


def gradient_of(learner):
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    return meta_gradient(learner, values, task(), SEED)[0]


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_a_scale_changes_neither_the_first_nor_the_second_derivative(batch_norm):
    learner = learner_of("float32", batch_norm=batch_norm)
    expected = gradient_of(learner)
    learner.pure_model.scale = GradientScale()
    for found, right in zip(gradient_of(learner), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-7)


def tiny(targets, outputs):
    return 1e-7 * keras.losses.mean_squared_error(targets, outputs)


def error(found, right):
    """Returns by how much gradients differ, as a share of the right one's size."""
    apart = tf.linalg.global_norm([a - b for a, b in zip(found, right, strict=True)])
    return float(apart / tf.linalg.global_norm(right))


def without_norm(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(5)
    hidden = keras.layers.Dense(8, "tanh")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2)])
    keras.config.set_dtype_policy(before)
    return MetaLearner(model, tiny, alpha_init=1e5)


def test_a_gradient_that_vanishes_in_float16_does_not_with_a_scale():
    support = task()[:2]
    whole, half = without_norm("float32"), without_norm("mixed_float16")
    inner, meta = whole.support_gradient(*support), gradient_of(whole)
    assert {value.dtype for value in half.support_gradient(*support)} == {tf.float32}
    assert error(half.support_gradient(*support), inner) < 0.01
    assert error(gradient_of(half), meta) < 0.01
    half.scale.value.assign(1.0)
    assert error(half.support_gradient(*support), inner) > 0.3
    assert error(gradient_of(half), meta) > 0.3


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 0.03), ("mixed_float16", 0.005)]
)
def test_the_meta_gradient_is_that_of_float32_to_the_precisions_rounding(policy, tolerance):
    half, whole = (gradient_of(learner_of(name)) for name in (policy, "float32"))
    assert {value.dtype for value in half} == {tf.float32}
    assert 0 < error(half, whole) < tolerance


def test_a_scale_is_halved_by_an_overflow_and_doubled_when_iterations_were_steady():
    scale = GradientScale()
    assert scale.raised(0, 10) == 10
    assert scale.lowered(7) and float(scale.value) == FIRST / 2
    assert scale.raised(8, 100_000) == 7 + STEADY
    assert float(scale.value) == FIRST / 2
    assert scale.raised(7 + STEADY, 100_000) == 100_000
    assert float(scale.value) == FIRST
    scale.value.assign(1.0)
    assert not scale.lowered(9)


def test_only_models_with_float16_have_one():
    assert learner_of("mixed_bfloat16").scale is None
    learner = learner_of("mixed_float16")
    assert learner.scale is learner.pure_model.scale
    assert precisions(learner.model) == {"float16"}
