"""Returns by which policies are evaluated, against trajectories collected here."""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.environments.navigation import Navigation2D
from models.gaussian_policy import gaussian_mlp
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.advantages import Advantages
from trainers.policies.evaluation import policy_evaluation
from trainers.policies.rollouts import Collector
from trainers.seeds import fold_in

TASKS, COUNT, HORIZON, STEPS = 3, 2, 4, 2
SEED = tf.constant([8, 2])
ADVANTAGES = Advantages(0.95, 1.0)


def environment():
    return Navigation2D(TASKS, COUNT, HORIZON, start="varying")


@pytest.fixture(scope="module")
def learner():
    model = gaussian_mlp((2,), 4, seed=1, hidden=(4,))
    return MetaLearner(model, policy_gradient.plain, alpha_init=0.3)


@pytest.fixture(scope="module")
def evaluate(learner):
    """Evaluates the learner on seven tasks, three at once."""
    evaluate = policy_evaluation(learner, environment(), ADVANTAGES, 7, STEPS)
    return lambda: evaluate(SEED)


@pytest.fixture(scope="module")
def returns(evaluate):
    return evaluate()


def collected(learner, number):
    """The returns of a chunk's tasks before each update and after the last, one task a time."""
    task_seeds = tf.stack([fold_in(SEED, 0, number * TASKS + task) for task in range(TASKS)])
    collect = Collector(environment(), learner.pure_model)
    weights = [np.repeat(w.numpy()[np.newaxis], TASKS, axis=0) for w in learner.theta]
    rates = [rate.numpy() for rate in learner.alpha.rates]
    found = []
    for step in range(STEPS + 1):
        now = [tf.constant(weight) for weight in weights]
        met = collect(now, task_seeds, fold_in(SEED, 1, number, step))
        found.append(np.mean((met.rewards * met.mask).numpy().sum(-1), axis=1))
        for task, (inputs, targets) in enumerate(zip(*ADVANTAGES.examples(met), strict=True)):
            own = [tf.constant(weight[task]) for weight in weights]
            with tf.GradientTape() as tape:
                tape.watch(own)
                outputs = learner.pure_model(own, inputs, training=False).outputs
                loss = tf.reduce_mean(policy_gradient.plain(targets, outputs))
            slopes = tape.gradient(loss, own)
            for weight, rate, slope in zip(weights, rates, slopes, strict=True):
                weight[task] -= rate * slope.numpy()
    return np.stack(found, axis=1)


def test_returns_are_those_before_each_update_and_after_the_last(learner, returns):
    assert (returns.shape, returns.dtype) == ((7, STEPS + 1), np.float32)
    np.testing.assert_allclose(returns[:3], collected(learner, 0), rtol=1e-4)
    np.testing.assert_allclose(returns[6:], collected(learner, 2)[:1], rtol=1e-4)
    assert len(np.unique(returns)) == returns.size and returns.max() < 0


def test_tasks_stay_the_same_however_many_are_asked_for(learner, returns):
    fewer = policy_evaluation(learner, environment(), ADVANTAGES, 4, 0)(SEED)
    assert fewer.shape == (4, 1)
    np.testing.assert_allclose(fewer, returns[:4, :1], rtol=1e-5)


def test_a_learner_is_evaluated_as_it_is_when_asked_and_alike_each_time(learner, evaluate, returns):
    np.testing.assert_array_equal(evaluate(), returns)
    kept = [rate.numpy() for rate in learner.alpha.rates]
    for rate in learner.alpha.rates:
        rate.assign(tf.zeros_like(rate))
    still = evaluate()
    for rate, value in zip(learner.alpha.rates, kept, strict=True):
        rate.assign(value)
    np.testing.assert_array_equal(still[:, 0], returns[:, 0])
    assert not np.isclose(still[:, 1:], returns[:, 1:]).any()


def test_evaluating_changes_nothing(learner, evaluate):
    before = [variable.numpy() for variable in [*learner.theta, *learner.alpha.rates]]
    evaluate()
    for old, new in zip(before, [*learner.theta, *learner.alpha.rates], strict=True):
        np.testing.assert_array_equal(old, new.numpy())
