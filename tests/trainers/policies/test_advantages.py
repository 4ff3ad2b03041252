"""Advantages against a slow account of their formulas in loops."""

import numpy as np
import pytest
import tensorflow as tf

from trainers.policies.advantages import (
    Advantages,
    baseline,
    discounted_returns,
    features,
    generalised_advantages,
    reward_size,
)
from trainers.policies.trajectories import Trajectories

TASKS, COUNT, HORIZON = 2, 4, 7
LENGTHS = np.array([[7, 4, 1, 6], [2, 7, 7, 3]])
DISCOUNT = 0.9


def trajectories():
    """Rollouts of different lengths; what is not to count is far from 0."""
    rng = np.random.default_rng(3)
    mask = (np.arange(HORIZON) < LENGTHS[..., np.newaxis]).astype(np.float32)
    observations = rng.normal(size=[TASKS, COUNT, HORIZON, 2]) + 50 * (1 - mask[..., np.newaxis])
    rewards = rng.normal(size=mask.shape) - 2 + 70 * (1 - mask)
    actions = rng.normal(size=[TASKS, COUNT, HORIZON, 3])
    return Trajectories(
        *(tf.constant(part, tf.float32) for part in (observations, actions, rewards, mask))
    )


MET = trajectories()


def episodes():
    """Yields the place of each episode, its states and its rewards, float64."""
    for place in np.ndindex(TASKS, COUNT):
        length = LENGTHS[place]
        states, rewards = (
            part.numpy()[place][:length].astype(np.float64)
            for part in (MET.observations, MET.rewards)
        )
        yield place, states, rewards


def phi(state, step):
    time = step / 100
    return [*state, *(value**2 for value in state), time, time**2, time**3, 1.0]


def slow_returns(rewards):
    return [
        sum(DISCOUNT ** (later - step) * rewards[later] for later in range(step, len(rewards)))
        for step in range(len(rewards))
    ]


def slow_baseline():
    """Returns V by ridge regression over each task's own steps, [T, N, H]."""
    values = np.zeros([TASKS, COUNT, HORIZON])
    for task in range(TASKS):
        rows, targets = [], []
        for place, states, rewards in episodes():
            if place[0] == task:
                rows += [phi(state, step) for step, state in enumerate(states)]
                targets += slow_returns(rewards)
        rows = np.array(rows)
        ridge = rows.T @ rows + 1e-5 * np.eye(8)
        weights = np.linalg.solve(ridge, rows.T @ np.array(targets))
        for place, states, _ in episodes():
            if place[0] == task:
                for step, state in enumerate(states):
                    values[(*place, step)] = phi(state, step) @ weights
    return values


def slow_advantages(trace):
    advantages, values = np.zeros([TASKS, COUNT, HORIZON]), slow_baseline()
    for place, _, rewards in episodes():
        length = len(rewards)
        value = [*values[place][:length], 0.0]
        surprise = [rewards[t] + DISCOUNT * value[t + 1] - value[t] for t in range(length)]
        for t in range(length):
            advantages[(*place, t)] = sum(
                (DISCOUNT * trace) ** (k - t) * surprise[k] for k in range(t, length)
            )
    return advantages


def test_features_are_the_state_the_time_and_their_powers():
    found = features(MET.observations).numpy()
    assert found.shape == (TASKS, COUNT, HORIZON, 8)
    for task, number, step in np.ndindex(TASKS, COUNT, HORIZON):
        expected = phi(MET.observations.numpy()[task, number, step], step)
        np.testing.assert_allclose(found[task, number, step], expected, rtol=1e-5)


def test_returns_are_discounted_up_to_the_end_of_an_episode():
    found = discounted_returns(MET, DISCOUNT).numpy()
    for place, _, rewards in episodes():
        length = len(rewards)
        np.testing.assert_allclose(found[place][:length], slow_returns(rewards), rtol=1e-5)
        np.testing.assert_array_equal(found[place][length:], 0)


def test_the_baseline_is_each_tasks_ridge_regression():
    found = baseline(MET, DISCOUNT)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, slow_baseline(), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.numpy()[MET.mask.numpy() == 0], 0)


def test_the_baseline_bears_features_that_are_dependent():
    """All trajectories in one place, as at the origin of a policy that does not move."""
    still = MET._replace(observations=tf.zeros_like(MET.observations))
    found = baseline(still, DISCOUNT).numpy()
    assert np.all(np.isfinite(found)) and np.ptp(found) > 0


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_advantages_are_sums_of_surprises(trace):
    found = generalised_advantages(MET, DISCOUNT, trace, normalise=False)
    np.testing.assert_allclose(found, slow_advantages(trace), rtol=1e-3, atol=1e-3)


def test_without_a_trace_cut_they_are_returns_less_the_baseline():
    found = generalised_advantages(MET, DISCOUNT, 1.0, normalise=False)
    expected = (discounted_returns(MET, DISCOUNT) - baseline(MET, DISCOUNT)) * MET.mask
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_normalised_ones_have_mean_0_and_deviation_1_over_the_steps_that_count(trace):
    found = generalised_advantages(MET, DISCOUNT, trace).numpy()
    slow = slow_advantages(trace)
    for task in range(TASKS):
        counts = MET.mask.numpy()[task] > 0
        valid = found[task][counts]
        assert valid.mean() == pytest.approx(0, abs=1e-5)
        assert valid.std() == pytest.approx(1, rel=1e-4)
        own = slow[task][counts]
        np.testing.assert_allclose(valid, (own - own.mean()) / own.std(), rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(found[task][~counts], 0)


def test_equal_advantages_are_normalised_to_nothing():
    met = MET._replace(rewards=tf.zeros_like(MET.rewards))
    found = generalised_advantages(met, DISCOUNT, 1.0)
    np.testing.assert_array_equal(found, np.zeros(MET.mask.shape))


def test_the_published_settings_are_the_default():
    assert Advantages() == (0.99, 1.0, True, False)


def test_normalising_is_chosen_by_name():
    with pytest.raises(TypeError, match="positional"):
        generalised_advantages(MET, DISCOUNT, 1.0, False)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_reward_that_is_no_number_is_seen_in_the_advantages_of_its_task_alone(bad):
    """Not silently taken for 0, and not spread to other tasks."""
    rewards = MET.rewards.numpy()
    rewards[0, 1, 2] = bad
    found = generalised_advantages(MET._replace(rewards=tf.constant(rewards)), DISCOUNT, 0.9)
    of_task = found.numpy()[0][MET.mask.numpy()[0] > 0]
    assert not np.isfinite(of_task).any()
    np.testing.assert_array_equal(found[1], generalised_advantages(MET, DISCOUNT, 0.9)[1])


@pytest.mark.parametrize("normalise", [True, False])
def test_examples_are_states_with_actions_and_their_advantages(normalise):
    inputs, targets = Advantages(DISCOUNT, 0.9, normalise).examples(MET)
    steps = COUNT * HORIZON
    assert (inputs.shape, targets.shape) == ((TASKS, steps, 2), (TASKS, steps, 4))
    advantages = generalised_advantages(MET, DISCOUNT, 0.9, normalise=normalise)
    for task, number, step in np.ndindex(TASKS, COUNT, HORIZON):
        row = number * HORIZON + step
        np.testing.assert_array_equal(inputs[task, row], MET.observations[task, number, step])
        np.testing.assert_array_equal(targets[task, row, :3], MET.actions[task, number, step])
        np.testing.assert_array_equal(targets[task, row, 3], advantages[task, number, step])


def test_the_size_of_rewards_is_a_mean_over_all_steps_of_a_task():
    """Ended episodes count as steps without a reward."""
    scale = np.array([1.0, 3.0])
    expected = np.zeros(TASKS)
    for place, _, rewards in episodes():
        task = place[0]
        expected[task] += scale[task] * np.abs(rewards).sum() / (COUNT * HORIZON)
    scaled = MET._replace(rewards=MET.rewards * tf.reshape(scale.astype(np.float32), [TASKS, 1, 1]))
    found = reward_size(scaled)
    assert found.shape == (TASKS, 1, 1)
    np.testing.assert_allclose(found.numpy().ravel(), expected, rtol=1e-5)


def test_advantages_times_the_reward_have_its_size_as_their_deviation():
    _, targets = Advantages(DISCOUNT, 0.9, times_reward=True).examples(MET)
    found = targets.numpy()[..., 3].reshape(MET.mask.shape)
    for task in range(TASKS):
        valid = found[task][MET.mask.numpy()[task] > 0]
        assert valid.mean() == pytest.approx(0, abs=1e-5)
        assert valid.std() == pytest.approx(float(reward_size(MET)[task, 0, 0]), rel=1e-4)
