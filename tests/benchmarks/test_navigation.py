"""Navigation's benchmark: the peer in PyTorch does the work that this project does."""

import dataclasses
import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import meta_step
from benchmarks.harness import cases, driver, floor
from benchmarks.systems import metasgd_tf
from metasgd_tf.environments.navigation import Navigation2D
from models.gaussian_policy import gaussian_mlp
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.advantages import Advantages
from trainers.policies.trajectories import Trajectories

CASE = cases.CASES["navigation"]
SMALL = dataclasses.replace(CASE, tasks=60, shots=10, queries=10, horizon=20)
ONE_TASK = dataclasses.replace(CASE, tasks=1, shots=30, queries=30, horizon=40)
CLOSE_GOAL = np.array([0.1, -0.1], np.float32)


@pytest.fixture
def peer(monkeypatch):
    # PyTorch's optimizers load it where it is installed, and beside TensorFlow that crashes.
    monkeypatch.setitem(sys.modules, "triton", None)
    pytest.importorskip("torch", reason="the peer: pip install -r benchmarks/requirements.txt")
    return importlib.import_module("benchmarks.systems.torch_navigation")


@pytest.fixture
def network(peer):
    return importlib.import_module("benchmarks.systems.torch_network")


@pytest.fixture
def goals_in_reach(monkeypatch):
    # Hardly a rollout as short as these would end before the horizon otherwise.
    monkeypatch.setattr(cases, "REACHED", 0.1)
    monkeypatch.setattr("metasgd_tf.environments.navigation.REACHED", 0.1)


def rollouts(peer, network, seed):
    theta = network.first_weights(ONE_TASK)
    return peer.roll_out(ONE_TASK, theta, CLOSE_GOAL, np.random.default_rng(seed))


def as_trajectories(rollout):
    return Trajectories(*(tf.constant(np.swapaxes(rows, 0, 1)[np.newaxis]) for rows in rollout))


def test_first_returns_agree(peer):
    ours = metasgd_tf.build(SMALL)(0, 1)
    assert ours > 0
    assert peer.build(SMALL)(0, 1) == pytest.approx(ours, rel=meta_step.RETURN_TOLERANCE)


def test_the_plane_is_the_same(peer, network, goals_in_reach):
    rollout = rollouts(peer, network, seed=1)
    assert 0 < rollout.mask[-1].mean() < 1
    environment = Navigation2D(1, ONE_TASK.shots, ONE_TASK.horizon)
    environment.set_goals(tf.constant(CLOSE_GOAL[np.newaxis]), tf.constant([0, 0]))
    now = environment.reset()
    alive = np.ones(ONE_TASK.shots, bool)
    for step, action in enumerate(rollout.actions):
        np.testing.assert_array_equal(rollout.mask[step], alive)
        # A rollout that has ended begins anew in ours and goes on in the peer; neither counts.
        np.testing.assert_allclose(
            now.observation.numpy()[alive], rollout.states[step][alive], atol=1e-6
        )
        now = environment.step(action)
        np.testing.assert_allclose(now.reward.numpy() * alive, rollout.rewards[step], atol=1e-6)
        alive &= ~now.is_last().numpy()


def test_advantages_agree(peer, network, goals_in_reach):
    rollout = rollouts(peer, network, seed=2)
    assert 0 < rollout.mask[-1].mean() < 1
    _, targets = Advantages(cases.DISCOUNT, cases.TRACE).examples(as_trajectories(rollout))
    ours = targets[0, :, -1].numpy().reshape(ONE_TASK.shots, ONE_TASK.horizon)
    np.testing.assert_allclose(peer.advantages(rollout).T, ours, atol=1e-4)


def test_meta_gradients_agree(peer, network):
    theta = network.first_weights(ONE_TASK)
    alpha = network.first_alpha(theta)
    support, query = (peer.examples(rollouts(peer, network, seed)) for seed in (3, 4))
    peer.loss(peer.adapt(theta, alpha, support), query).backward()

    model = gaussian_mlp((2,), 4, seed=0)
    learner = MetaLearner(model, policy_gradient.plain, alpha_init=cases.ALPHA)
    for variable, value in zip(learner.theta, cases.initial_weights(ONE_TASK), strict=True):
        variable.assign(value)
    values = [*(w.value for w in learner.theta), *learner.alpha.rates]
    with tf.GradientTape() as tape:
        fast = learner.adapt(*as_ours(support))
        loss = learner.score(fast, *as_ours(query))[0]["loss"]
    for ours, theirs in zip(tape.gradient(loss, values), [*theta, *alpha], strict=True):
        scale = np.abs(ours.numpy()).max()
        assert scale > 0
        np.testing.assert_allclose(theirs.grad.numpy(), ours.numpy(), atol=1e-4 * scale)


def as_ours(learned_from):
    states, actions, advantages = (values.numpy() for values in learned_from)
    return tf.constant(states), tf.constant(np.column_stack([actions, advantages]))


def test_only_who_offers_the_case_is_measured():
    systems = ["metasgd_tf", "torch_loop", "torch_func", "jax"]
    assert driver.offering(CASE, systems) == ["metasgd_tf", "torch_loop"]
    assert driver.offering(cases.CASES["omniglot"], systems) == systems


def test_returns_that_differ_are_refused():
    def worker(system, loss):
        stand_in = object.__new__(driver.Worker)
        stand_in.system, stand_in.first_loss = system, loss
        return stand_in

    meta_step.check_returns(CASE, [worker("metasgd_tf", 70.0), worker("torch_loop", 72.0)])
    with pytest.raises(driver.BenchmarkError, match="-50.0 in torch_loop and -70.0 in metasgd_tf"):
        meta_step.check_returns(CASE, [worker("metasgd_tf", 70.0), worker("torch_loop", 50.0)])


def test_every_step_of_every_rollout_counts_in_the_floor():
    layers = [2 * 100, 100 * 100, 100 * 2]
    assert floor.multiplications(CASE) == layers
    steps = CASE.tasks * CASE.shots * CASE.horizon
    products = (4 + 2) * layers[0] + (9 + 3) * sum(layers[1:])
    assert floor.operations(CASE) == 2 * steps * products
