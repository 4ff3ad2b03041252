"""The policy gradient's losses against closed formulas, and what is differentiated through them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from trainers.policies import policy_gradient
from trainers.policies.trajectories import Trajectories
from trainers.update_rule import adapt

RNG = np.random.default_rng(2)
OUTPUTS = RNG.normal(scale=0.7, size=[5, 4])
ACTIONS = RNG.normal(size=[5, 2])
ADVANTAGES = RNG.normal(size=[5])
TARGETS = np.concatenate([ACTIONS, ADVANTAGES[:, np.newaxis]], axis=1)


def log_prob(outputs):
    """Σ_j −(a − μ)² / 2 σ² − log σ − ½ log 2 π."""
    means, log_stds = outputs[:, :2], outputs[:, 2:]
    z = (ACTIONS - means) / np.exp(log_stds)
    return (-0.5 * z**2 - log_stds - 0.5 * np.log(2 * np.pi)).sum(axis=1)


def scores(outputs):
    """∇log π by the outputs: z / σ and z² − 1."""
    means, log_stds = outputs[:, :2], outputs[:, 2:]
    z = (ACTIONS - means) / np.exp(log_stds)
    return np.concatenate([z / np.exp(log_stds), z**2 - 1], axis=1)


def test_outputs_are_means_and_log_standard_deviations():
    distribution = policy_gradient.normal(tf.constant(OUTPUTS))
    np.testing.assert_allclose(distribution.mean(), OUTPUTS[:, :2])
    np.testing.assert_allclose(distribution.stddev(), np.exp(OUTPUTS[:, 2:]))
    np.testing.assert_allclose(distribution.log_prob(ACTIONS), log_prob(OUTPUTS), rtol=1e-10)


def test_plain_is_minus_the_advantage_times_the_log_probability():
    found = policy_gradient.plain(tf.constant(TARGETS), tf.constant(OUTPUTS))
    np.testing.assert_allclose(found, -ADVANTAGES * log_prob(OUTPUTS), rtol=1e-10)


def test_dice_is_minus_the_advantage():
    found = policy_gradient.dice(tf.constant(TARGETS), tf.constant(OUTPUTS))
    np.testing.assert_allclose(found, -ADVANTAGES, rtol=1e-12)


def test_relative_to_weighs_by_how_much_likelier_an_action_became():
    before = OUTPUTS + RNG.normal(scale=0.3, size=OUTPUTS.shape)
    found = policy_gradient.relative_to(*map(tf.constant, (before, TARGETS, OUTPUTS)))
    ratio = np.exp(log_prob(OUTPUTS)) / np.exp(log_prob(before))
    np.testing.assert_allclose(found, -ADVANTAGES * ratio, rtol=1e-10)
    assert np.ptp(ratio) > 0.1


@pytest.mark.parametrize("name", ["plain", "dice", "relative_to"])
def test_all_losses_have_the_policy_gradient(name):
    outputs = tf.constant(OUTPUTS)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        if name == "relative_to":
            loss = policy_gradient.relative_to(outputs, tf.constant(TARGETS), outputs)
        else:
            loss = policy_gradient.SURROGATES[name](tf.constant(TARGETS), outputs)
    expected = -ADVANTAGES[:, np.newaxis] * scores(OUTPUTS)
    np.testing.assert_allclose(tape.gradient(loss, outputs), expected, rtol=1e-10)


def test_entropy_is_that_of_independent_coordinates():
    expected = (OUTPUTS[:, 2:] + 0.5 * np.log(2 * np.pi * np.e)).sum(axis=1)
    np.testing.assert_allclose(policy_gradient.entropy(tf.constant(OUTPUTS)), expected, rtol=1e-10)


def test_divergence_is_that_from_the_policy_before():
    after = OUTPUTS + RNG.normal(scale=0.5, size=OUTPUTS.shape)
    found = policy_gradient.divergence(tf.constant(OUTPUTS), tf.constant(after))
    (m, ls), (n, lt) = (np.split(part, 2, axis=1) for part in (OUTPUTS, after))
    expected = lt - ls + (np.exp(2 * ls) + (m - n) ** 2) / (2 * np.exp(2 * lt)) - 0.5
    np.testing.assert_allclose(found, expected.sum(axis=1), rtol=1e-10)
    independent = [
        tfp.distributions.Independent(tfp.distributions.Normal(mean, np.exp(log_std)), 1)
        for mean, log_std in ((m, ls), (n, lt))
    ]
    np.testing.assert_allclose(found, tfp.distributions.kl_divergence(*independent), rtol=1e-8)


def test_fisher_information_is_the_curvature_of_the_divergence():
    outputs = tf.constant(OUTPUTS)
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            divergence = policy_gradient.divergence(tf.constant(OUTPUTS), outputs)
        slope = inner.gradient(divergence, outputs)
    curvature = outer.batch_jacobian(slope, outputs)
    found = policy_gradient.fisher_information(outputs)
    np.testing.assert_allclose(tf.linalg.diag(found), curvature, rtol=1e-8, atol=1e-10)


def test_examples_are_the_steps_of_a_tasks_trajectories_in_a_row():
    states, actions = RNG.normal(size=[2, 3, 4, 2]), RNG.normal(size=[2, 3, 4, 5])
    advantages = RNG.normal(size=[2, 3, 4])
    met = Trajectories(tf.constant(states), tf.constant(actions), advantages, advantages)
    inputs, targets = policy_gradient.examples(met, tf.constant(advantages))
    assert (inputs.shape, targets.shape) == ((2, 12, 2), (2, 12, 6))
    for task, number, step in np.ndindex(2, 3, 4):
        expected = [*actions[task, number, step], advantages[task, number, step]]
        np.testing.assert_array_equal(inputs[task, 4 * number + step], states[task, number, step])
        np.testing.assert_array_equal(targets[task, 4 * number + step], expected)


# A bandit: one state, in which θ = (μ, log σ) is the policy's output, and one action a.
THETA = np.array([0.3, -0.4])
BANDIT = np.array([[-0.5, 1.5], [0.2, -0.7], [1.1, 0.4]])
"""Actions and advantages."""


def inner_gradient_and_its_derivative(surrogate):
    theta = tf.constant(THETA)
    with tf.GradientTape() as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            outputs = tf.tile(theta[tf.newaxis], [3, 1])
            loss = tf.reduce_mean(surrogate(tf.constant(BANDIT), outputs))
        gradient = inner.gradient(loss, theta)
    return gradient.numpy(), outer.jacobian(gradient, theta).numpy()


@pytest.mark.parametrize(("name", "with_the_sampling"), [("plain", False), ("dice", True)])
def test_the_gradients_derivative_has_the_term_of_the_sampling_with_dice_alone(
    name, with_the_sampling
):
    gradient, derivative = inner_gradient_and_its_derivative(policy_gradient.SURROGATES[name])
    mean, std = THETA[0], np.exp(THETA[1])
    slopes, curvatures = [], []
    for action, advantage in BANDIT:
        z = (action - mean) / std
        score = np.array([z / std, z**2 - 1])
        curvature = np.array([[-1 / std**2, -2 * z / std], [-2 * z / std, -2 * z**2]])
        if with_the_sampling:
            curvature += np.outer(score, score)
        slopes.append(-advantage * score)
        curvatures.append(-advantage * curvature)
    np.testing.assert_allclose(gradient, np.mean(slopes, axis=0), rtol=1e-8)
    np.testing.assert_allclose(derivative, np.mean(curvatures, axis=0), rtol=1e-8)


@pytest.mark.parametrize("name", ["plain", "dice"])
def test_dice_estimates_how_the_expected_update_depends_on_theta_and_plain_lacks_a_known_term(name):
    """Rewards −(a − c)²: E[θ'] = μ − 2 α (μ − c), so that its derivative is 1 − 2 α.

    The term is α E[A (a − μ)² / σ⁴] = −α ((μ − c)² + 3 σ²) / σ².
    """
    mean, std, best, rate, count = 0.4, 0.8, -0.3, 0.1, 200_000
    # Evenly over the distribution, so that means are expectations but for 1 in 1000.
    shares = (np.arange(count) + 0.5) / count
    actions = tfp.distributions.Normal(np.float64(mean), np.float64(std)).quantile(shares).numpy()
    targets = tf.constant(np.stack([actions, -((actions - best) ** 2)], axis=1))
    theta = tf.constant(mean, tf.float64)
    surrogate = policy_gradient.SURROGATES[name]

    def loss(weights, step):
        del step
        outputs = tf.stack([weights[0], tf.constant(np.log(std))])
        return tf.reduce_mean(surrogate(targets, tf.tile(outputs[tf.newaxis], [count, 1])))

    with tf.GradientTape() as tape:
        tape.watch(theta)
        (updated,) = adapt(loss, [theta], [tf.constant(rate, tf.float64)])
    assert float(updated) == pytest.approx(mean - 2 * rate * (mean - best), abs=1e-4)
    found = float(tape.gradient(updated, theta))
    lacking = 0.0 if name == "dice" else -rate * ((mean - best) ** 2 + 3 * std**2) / std**2
    assert found == pytest.approx(1 - 2 * rate - lacking, abs=1e-3)


def test_a_loss_times_the_deviation_moves_the_mean_alike_whatever_the_deviation():
    noise = np.float32([[0.5, -1.0], [2.0, 0.25]])
    moved = []
    for log_std in (-2.0, 0.0, 1.0):
        outputs = tf.Variable(np.full((2, 4), log_std, np.float32) * np.float32([0, 0, 1, 1]))
        targets = np.concatenate([np.exp(log_std) * noise, [[1.0], [-3.0]]], axis=1)
        with tf.GradientTape() as tape:
            deviation = policy_gradient.deviation(outputs)
            loss = deviation * policy_gradient.plain(tf.constant(targets, tf.float32), outputs)
        np.testing.assert_allclose(deviation, np.exp(log_std), rtol=1e-6)
        moved.append(tape.gradient(loss, outputs).numpy()[:, :2])
    for gradient in moved:
        np.testing.assert_allclose(gradient, -noise * [[1.0], [-3.0]], rtol=1e-5)
