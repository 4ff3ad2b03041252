"""A trust region's step where loss and divergence are known in closed form."""

import numpy as np
import pytest
import tensorflow as tf

from trainers.policies.trust_region import TrustRegion, conjugate_gradients, trust_region_step

RNG = np.random.default_rng(4)
SIZE = 6
_root = RNG.normal(size=[SIZE, SIZE])
FISHER = _root @ _root.T + 0.5 * np.eye(SIZE)
GRADIENT = RNG.normal(size=[SIZE])
SLOPE = np.linalg.solve(FISHER, GRADIENT)
VALUES = RNG.normal(size=[SIZE])
REGION = TrustRegion(radius=0.02, iterations=SIZE, damping=0.0)
WHOLE = np.sqrt(2 * 0.02 / (SLOPE @ FISHER @ SLOPE)) * SLOPE
"""The first step that is tried; by a quadratic divergence it is as long as the radius allows."""


def parts(flat):
    """The numbers as two variables of different shapes would hold them."""
    flat = tf.convert_to_tensor(flat)
    return [tf.reshape(flat[:4], [2, 2]), flat[4:]]


def flat(values):
    return np.concatenate([np.ravel(value) for value in values])


def step(loss, divergence, region=REGION, compiled=False):
    """Makes a step from VALUES; both functions are of how far it goes, [SIZE]."""

    def product(vector):
        vector = tf.concat([tf.reshape(part, [-1]) for part in vector], 0)
        return parts(tf.linalg.matvec(tf.constant(FISHER), vector))

    def evaluate(values):
        gone = tf.concat([tf.reshape(part, [-1]) for part in values], 0) - VALUES
        return loss(gone), divergence(gone)

    def make():
        return trust_region_step(region, parts(VALUES), parts(GRADIENT), product, evaluate)

    return (tf.function(make) if compiled else make)()


def linear(gone):
    return tf.tensordot(tf.constant(GRADIENT), gone, 1)


def quadratic(factor):
    return lambda gone: factor * 0.5 * tf.tensordot(gone, tf.linalg.matvec(FISHER, gone), 1)


@pytest.mark.parametrize("size", [1, 2, 6, 15])
def test_conjugate_gradients_solve_a_system_in_as_many_products_as_it_has_rows(size):
    root = RNG.normal(size=[size, size])
    matrix, right = root @ root.T + np.eye(size), RNG.normal(size=[size])
    found = conjugate_gradients(lambda v: tf.linalg.matvec(matrix, v), tf.constant(right), size)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-6)


def test_one_conjugate_gradient_goes_down_the_steepest_slope():
    found = conjugate_gradients(
        lambda v: tf.linalg.matvec(tf.constant(FISHER), v), tf.constant(GRADIENT), 1
    )
    expected = GRADIENT * (GRADIENT @ GRADIENT) / (GRADIENT @ FISHER @ GRADIENT)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_more_conjugate_gradients_than_are_needed_do_no_harm():
    found = conjugate_gradients(lambda v: 2.0 * v, tf.constant(GRADIENT), 10)
    np.testing.assert_allclose(found, GRADIENT / 2, rtol=1e-12)


def test_the_published_settings_are_the_default():
    assert TrustRegion() == (0.01, 10, 1e-5, 15, 0.8)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_goes_down_the_natural_gradient_as_far_as_the_radius_allows(compiled):
    made = step(linear, quadratic(0.99), compiled=compiled)
    assert [value.shape for value in made.values] == [[2, 2], [2]]
    np.testing.assert_allclose(flat(made.values), VALUES - WHOLE, rtol=1e-8)
    assert int(made.backtracks) == 0
    assert float(made.divergence) == pytest.approx(0.99 * 0.02, rel=1e-6)


def test_damping_is_added_to_the_fisher_information():
    made = step(linear, quadratic(0.5), REGION._replace(damping=3.0))
    damped = FISHER + 3 * np.eye(SIZE)
    slope = np.linalg.solve(damped, GRADIENT)
    expected = VALUES - np.sqrt(2 * 0.02 / (slope @ damped @ slope)) * slope
    np.testing.assert_allclose(flat(made.values), expected, rtol=1e-8)


def test_a_step_is_shortened_until_the_policy_has_changed_little_enough():
    # 4 · 0.8^(2 k) ≤ 1 first where k = 4.
    made = step(linear, quadratic(4.0))
    assert int(made.backtracks) == 4
    np.testing.assert_allclose(flat(made.values), VALUES - 0.8**4 * WHOLE, rtol=1e-8)
    assert float(made.divergence) == pytest.approx(4 * 0.02 * 0.8**8, rel=1e-6)


def test_a_step_is_shortened_until_the_loss_falls():
    half = np.linalg.norm(WHOLE) / 2  # 0.5^k < ½ first where k = 2.

    def rising_beyond_half(gone):
        length = tf.norm(gone)
        return tf.where(length < half, -length, 5.0 * length)

    made = step(rising_beyond_half, quadratic(0.1), REGION._replace(ratio=0.5))
    assert int(made.backtracks) == 2
    np.testing.assert_allclose(flat(made.values), VALUES - 0.25 * WHOLE, rtol=1e-8)


def not_a_number(gone):
    return np.nan * tf.norm(gone)


@pytest.mark.parametrize(
    ("loss", "divergence"),
    [
        (lambda gone: tf.norm(gone), quadratic(0.1)),
        (lambda gone: 0 * tf.norm(gone), quadratic(0.1)),
        (linear, lambda gone: tf.constant(1.0, tf.float64)),
        (not_a_number, quadratic(0.1)),
        (linear, not_a_number),
    ],
    ids=["rising loss", "equal loss", "too far", "loss NaN", "divergence NaN"],
)
def test_a_step_is_given_up_where_none_is_good(loss, divergence):
    made = step(loss, divergence, REGION._replace(backtracks=3))
    np.testing.assert_array_equal(flat(made.values), VALUES)
    assert (int(made.backtracks), float(made.divergence)) == (4, 0.0)


def test_a_step_may_go_as_far_as_the_radius():
    made = step(linear, lambda gone: tf.constant(REGION.radius, tf.float64) + 0 * gone[0])
    assert (int(made.backtracks), float(made.divergence)) == (0, REGION.radius)


def test_the_last_shortened_step_counts_too():
    made = step(linear, quadratic(0.99 * 0.8**-6), REGION._replace(backtracks=3))
    assert int(made.backtracks) == 3
    np.testing.assert_allclose(flat(made.values), VALUES - 0.8**3 * WHOLE, rtol=1e-8)


def scaled_step(factor):
    """Makes a step by a gradient of `factor` times GRADIENT."""
    start = tf.constant(VALUES)

    def product(vector):
        return parts(tf.linalg.matvec(tf.constant(FISHER), tf.constant(flat(vector))))

    def evaluate(values):
        gone = tf.constant(flat(values)) - start
        return linear(gone), quadratic(0.1)(gone)

    return trust_region_step(REGION, parts(VALUES), parts(factor * GRADIENT), product, evaluate)


def test_without_a_gradient_nothing_moves():
    made = scaled_step(0.0)
    np.testing.assert_array_equal(flat(made.values), VALUES)
    assert (int(made.backtracks), float(made.divergence)) == (16, 0.0)


def test_a_step_is_as_long_whatever_the_size_of_the_gradient():
    """Also where gᵀ F⁻¹ g is below 1; next to no gradient makes a step that is shorter."""
    curvature = SLOPE @ FISHER @ SLOPE
    for factor in (1e-2, 1.0):
        gone = flat(scaled_step(factor).values) - VALUES
        np.testing.assert_allclose(gone, -WHOLE, rtol=1e-8)
    factor = np.sqrt(1e-14 / curvature)
    gone = flat(scaled_step(factor).values) - VALUES
    np.testing.assert_allclose(gone, -0.1 * WHOLE, rtol=1e-4)
