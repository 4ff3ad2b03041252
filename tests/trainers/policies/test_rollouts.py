"""Trajectories of policies with fast weights, sampled again in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers.dynamic_step_driver import DynamicStepDriver
from tf_agents.metrics.tf_metrics import AverageReturnMetric

from metasgd_tf.environments.navigation import Navigation2D, goals
from models.gaussian_policy import gaussian_mlp
from trainers.policies.rollouts import Collector, FastWeightsPolicy, outputs_of_tasks
from trainers.policies.trajectories import Trajectories
from trainers.seeds import fold_in, split_seed, standard_normal
from trainers.stateless.pure_model import PureModel

TASKS, COUNT, HORIZON = 2, 3, 6
SEED = tf.constant([5, 6])
TASK_SEEDS = split_seed(tf.constant([1, 2]), TASKS)
MODEL = PureModel(gaussian_mlp((2,), 4, seed=0, hidden=(8,)))


class ToGivenGoals(Navigation2D):
    """Two goals at known places."""

    def set_tasks(self, task_seeds, seed):
        self.set_goals(tf.constant([[0.2, 0.1], [0.45, 0.45]]), seed)


@pytest.fixture(scope="module")
def weights():
    """Other weights for each task, [T, ...]."""
    rng = np.random.default_rng(0)
    return [
        tf.constant(rng.normal(scale=0.4, size=[TASKS, *weight.shape]), tf.float32)
        for weight in MODEL.weights
    ]


@pytest.fixture(scope="module")
def collector():
    return Collector(Navigation2D(TASKS, COUNT, HORIZON), MODEL)


@pytest.fixture(scope="module")
def met(collector, weights):
    return collector(weights, TASK_SEEDS, SEED)


def outputs(weights, task, states):
    """Returns means and log standard deviations by the weights of a task."""
    w1, b1, w2, b2, log_std = (weight.numpy()[task] for weight in weights)
    return np.maximum(states @ w1 + b1, 0) @ w2 + b2, log_std


def rollout_in_numpy(weights):
    """Returns states, actions and rewards [T, N, H, ...] of rollouts that end at the horizon."""
    noise = standard_normal(fold_in(SEED, 1), [TASKS * COUNT, HORIZON, 2]).numpy()
    noise = noise.reshape(TASKS, COUNT, HORIZON, 2)
    there = goals(TASK_SEEDS).numpy()
    states, actions = np.zeros([2, TASKS, COUNT, HORIZON, 2])
    rewards = np.zeros([TASKS, COUNT, HORIZON])
    for task, number in np.ndindex(TASKS, COUNT):
        position = np.zeros(2)
        for step in range(HORIZON):
            states[task, number, step] = position
            mean, log_std = outputs(weights, task, position)
            action = mean + np.exp(log_std) * noise[task, number, step]
            actions[task, number, step] = action
            position = position + 0.1 * np.clip(action, -1, 1)
            offset = position - there[task]
            assert np.abs(offset).max() > 0.01
            rewards[task, number, step] = -np.sqrt((offset**2).sum())
    return states, actions, rewards


def test_each_task_is_sampled_by_its_own_weights(met, weights):
    states, actions, rewards = rollout_in_numpy(weights)
    np.testing.assert_allclose(met.observations, states, atol=1e-5)
    np.testing.assert_allclose(met.actions, actions, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(met.rewards, rewards, rtol=1e-4)
    np.testing.assert_array_equal(met.mask, np.ones([TASKS, COUNT, HORIZON]))
    np.testing.assert_allclose(met.returns(), rewards.sum(-1), rtol=1e-4)
    assert np.abs(actions).max() > 1  # They are kept as drawn, before clipping.


def test_a_collection_is_a_function_of_its_arguments(collector, met, weights):
    other = collector(weights, TASK_SEEDS, SEED + 1)
    assert not np.array_equal(other.actions, met.actions)
    elsewhere = collector(weights, TASK_SEEDS + 1, SEED)
    np.testing.assert_array_equal(elsewhere.actions, met.actions)
    assert not np.array_equal(elsewhere.rewards, met.rewards)
    for one, again in zip(met, collector(weights, TASK_SEEDS, SEED), strict=True):
        np.testing.assert_array_equal(one, again)


def test_a_graph_collects_the_same(collector, met, weights):
    graph = tf.function(lambda seed: collector(weights, TASK_SEEDS, seed), autograph=False)
    graph(SEED + 1)
    for one, compiled in zip(met, graph(SEED), strict=True):
        assert one.shape == compiled.shape
        np.testing.assert_allclose(one, compiled, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def straight():
    """What was met by a policy that moves (0.1, 0.05) a step: at the first goal after two."""
    constant = [np.zeros([TASKS, *weight.shape], np.float32) for weight in MODEL.weights]
    constant[3][:] = [1.0, 0.5]
    constant[4][:] = -30
    collector = Collector(ToGivenGoals(TASKS, COUNT, HORIZON), MODEL)
    return collector([tf.constant(weight) for weight in constant], TASK_SEEDS, SEED)


def test_nothing_counts_after_an_early_end(straight):
    np.testing.assert_array_equal(straight.mask[0], [[1, 1, 0, 0, 0, 0]] * COUNT)
    np.testing.assert_array_equal(straight.mask[1], np.ones([COUNT, HORIZON]))
    np.testing.assert_array_equal(straight.rewards[0, :, 2:], np.zeros([COUNT, 4]))
    np.testing.assert_allclose(straight.rewards[0, :, 0], [-np.hypot(0.1, 0.05)] * COUNT, rtol=1e-5)
    np.testing.assert_allclose(straight.rewards[0, :, 1], [0] * COUNT, atol=1e-6)


def test_returns_are_undiscounted_and_of_the_first_episode_only(straight):
    steps = np.arange(1, HORIZON + 1)[:, np.newaxis] * [0.1, 0.05]
    whole = -np.hypot(*(steps - 0.45).T).sum()
    expected = [[-np.hypot(0.1, 0.05)] * COUNT, [whole] * COUNT]
    np.testing.assert_allclose(straight.returns(), expected, rtol=1e-5)


def test_returns_leave_out_what_is_masked():
    rewards = tf.constant([[[1.0, 2.0, 4.0]]])
    nothing = tf.zeros([1, 1, 3, 2])
    met = Trajectories(nothing, nothing, rewards, tf.constant([[[1.0, 1.0, 0.0]]]))
    np.testing.assert_array_equal(met.returns(), [[3.0]])


def test_tf_agents_own_metric_measures_the_same_return(weights, met):
    environment = Navigation2D(TASKS, COUNT, HORIZON)
    environment.set_tasks(TASK_SEEDS, fold_in(SEED, 0))
    batch = TASKS * COUNT
    noise = standard_normal(fold_in(SEED, 1), [batch, HORIZON, 2])
    policy = FastWeightsPolicy(
        environment.time_step_spec(), environment.action_spec(), MODEL, weights, noise
    )
    metric = AverageReturnMetric(batch_size=batch, buffer_size=batch)
    DynamicStepDriver(environment, policy, [metric], num_steps=batch * HORIZON).run(
        environment.reset()
    )
    assert float(metric.result()) == pytest.approx(np.mean(met.returns()), rel=1e-5)


def test_without_noise_a_policy_does_what_is_likeliest(weights):
    environment = Navigation2D(TASKS, COUNT, HORIZON, start="varying")
    environment.set_tasks(TASK_SEEDS, SEED)
    step = environment.reset()
    policy = FastWeightsPolicy(
        environment.time_step_spec(), environment.action_spec(), MODEL, weights
    )
    state = policy.get_initial_state(TASKS * COUNT)
    positions = step.observation.numpy().reshape(TASKS, COUNT, 2)
    means = [outputs(weights, task, positions[task])[0] for task in range(TASKS)]
    action = policy.action(step, state).action
    np.testing.assert_allclose(action, np.concatenate(means), rtol=1e-4, atol=1e-5)
    drawn = policy.distribution(step, state).action
    np.testing.assert_allclose(drawn.mean(), action, rtol=1e-6)
    stds = np.repeat(np.exp(weights[4]), COUNT, axis=0)
    np.testing.assert_allclose(drawn.stddev(), stds, rtol=1e-5)


def test_outputs_of_tasks_are_those_of_each_tasks_weights(weights):
    states = np.random.default_rng(1).normal(size=[TASKS, 5, 2]).astype(np.float32)
    found = outputs_of_tasks(MODEL, weights, tf.constant(states))
    for task in range(TASKS):
        mean, log_std = outputs(weights, task, states[task])
        np.testing.assert_allclose(found[task, :, :2], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[task, :, 2:], np.tile(log_std, [5, 1]), rtol=1e-6)
