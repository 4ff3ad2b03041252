"""The rule against derivatives worked out by hand.

The model is y = a x + b with squared error; support (x, y) = (2, 3), query (1, 0). At a = 1, b = 0
the support residual is r = 2a + b − 3 = −1 and ∇L = (4r, 2r). With α = (0.1, 0.25):

  one step     a' = a − 4 α_a r = 1.4,  b' = b − 2 α_b r = 0.5,  s = a' + b' = 1.9
  two steps    r₁ = r (1 − 8 α_a − 2 α_b) = 0.3, a'' = 1.28, b'' = 0.35, s = 1.63

The query loss is s², and its derivatives follow by the chain rule through r(a, b) and r₁.
"""

import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.update_rule import adapt

THETA = [1.0, 0.0]
ALPHA = [0.1, 0.25]


def support_loss(weights, step):
    del step
    a, b = weights
    return (2.0 * a + b - 3.0) ** 2


def query_gradient(steps, first_order):
    theta = [tf.constant(v, tf.float64) for v in THETA]
    alpha = [tf.constant(v, tf.float64) for v in ALPHA]
    with tf.GradientTape() as tape:
        tape.watch(theta + alpha)
        a, b = adapt(support_loss, theta, alpha, steps, first_order=first_order)
        loss = (a + b) ** 2
    return (a, b), tape.gradient(loss, theta + alpha)


@pytest.mark.parametrize(
    ("steps", "first_order", "fast", "gradient"),
    [
        (1, False, (1.4, 0.5), (-3.04, 0.38, 15.2, 7.6)),
        (1, True, (1.4, 0.5), (3.8, 3.8, 15.2, 7.6)),
        (2, False, (1.28, 0.35), (-0.8476, 1.2062, -14.344, -1.304)),
        (2, True, (1.28, 0.35), (3.26, 3.26, 9.128, 4.564)),
    ],
)
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
def test_meta_gradient_is_the_one_worked_out_by_hand(steps, first_order, fast, gradient, compiled):
    compute = query_gradient
    if compiled != "eager":
        compute = tf.function(query_gradient, jit_compile=compiled == "xla")
    weights, found = compute(steps, first_order)
    np.testing.assert_allclose(weights, fast, rtol=1e-12)
    np.testing.assert_allclose(found, gradient, rtol=1e-12)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_order_may_be_a_tensor(first_order):
    # Also where AutoGraph does not make a condition of what Python cannot decide.
    compute = tf.function(query_gradient, autograph=False)
    found = compute(2, tf.constant(first_order))[1]
    np.testing.assert_array_equal(found, compute(2, first_order)[1])


def test_one_step_of_second_order_is_the_default():
    theta = [tf.constant(v, tf.float64) for v in THETA]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        a, b = adapt(support_loss, theta, ALPHA)
        loss = (a + b) ** 2
    np.testing.assert_allclose(tape.gradient(loss, theta), (-3.04, 0.38), rtol=1e-12)


def test_the_order_is_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        adapt(support_loss, THETA, ALPHA, 1, True)


@pytest.mark.parametrize("alpha", [ALPHA[:1], [*ALPHA, 0.1]])
def test_as_many_rates_as_weights_are_wanted(alpha):
    with pytest.raises(ValueError, match="zip"):
        adapt(support_loss, THETA, alpha)


def test_no_step_returns_theta():
    np.testing.assert_array_equal(adapt(support_loss, THETA, ALPHA, 0), THETA)


def test_steps_are_numbered_from_zero():
    seen = []
    adapt(lambda w, step: seen.append(step) or support_loss(w, step), THETA, ALPHA, 3)
    assert seen == [0, 1, 2]


def test_alpha_broadcasts_and_may_be_negative():
    (weight,) = adapt(
        lambda w, _: tf.reduce_sum(w[0] ** 2), [tf.constant([1.0, -2.0])], [tf.constant(-0.5)]
    )
    np.testing.assert_allclose(weight, [2.0, -4.0])


def test_weight_without_gradient_is_named():
    with pytest.raises(InputError, match=r"does not depend on the weight unused/bias"):
        adapt(lambda w, _: w[0] ** 2, THETA, ALPHA, names=["used/kernel", "unused/bias"])


def test_embedding_gradients_are_dense():
    table = tf.reshape(tf.range(6.0), [3, 2])
    (fast,) = adapt(
        lambda w, _: tf.reduce_sum(tf.gather(w[0], [0, 2, 2])), [table], [tf.ones_like(table)]
    )
    np.testing.assert_allclose(fast, [[-1, 0], [2, 3], [2, 3]])
