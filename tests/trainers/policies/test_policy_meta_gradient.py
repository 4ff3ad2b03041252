"""What outer steps on policies are made of, against central differences in NumPy.

On the very trajectories that the trainer meets, see `policy_in_numpy`.
"""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.environments import navigation
from metasgd_tf.environments.navigation import Navigation2D
from models.gaussian_policy import gaussian_mlp
from tests.trainers.policies.policy_in_numpy import (
    Query,
    Task,
    adapted,
    as_row,
    central_differences,
    divergence,
    query_surrogate,
    ratio_surrogate,
)
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient, policy_trainer
from trainers.policies.advantages import Advantages
from trainers.policies.policy_trainer import PolicyTrainer
from trainers.policies.rollouts import Collector
from trainers.policies.trust_region import Step, TrustRegion, trust_region_step
from trainers.seeds import fold_in, split_seed, stream

TASKS, COUNT, HORIZON, HIDDEN, SEED = 2, 2, 3, 3, 7
INNER, OUTER = Advantages(0.95, 0.9), Advantages(0.5, 1.0)


@pytest.fixture(autouse=True)
def wide_goals(monkeypatch):
    """Has some episodes end before the horizon."""
    monkeypatch.setattr(navigation, "REACHED", 0.3)


def make_learner(**settings):
    learner = MetaLearner(
        gaussian_mlp((2,), 4, seed=1, hidden=(HIDDEN,)),
        policy_gradient.SURROGATES[settings.pop("surrogate", "plain")],
        alpha_init=0.1,
        **settings,
    )
    rng = np.random.default_rng(2)
    for weight in learner.theta:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    for rate in learner.alpha.rates:
        rate.assign(rng.uniform(-0.05, 0.2, size=rate.shape))
    return learner


def make_trainer(learner, outer):
    plane = Navigation2D(TASKS, COUNT, HORIZON, start="varying")
    estimated = {"inner_advantages": INNER, "outer_advantages": OUTER}
    return PolicyTrainer(learner, plane, outer, **estimated, seed=SEED)


def all_values(learner):
    return [np.float64(v.numpy()) for v in [*learner.theta, *learner.alpha.rates]]


def met_by(learner, decay=0.0):
    """Returns the tasks of the first iteration, sampled by policies that NumPy adapts.

    And the mean return before each update and after the last one.
    """
    collect = Collector(Navigation2D(TASKS, COUNT, HORIZON, start="varying"), learner.pure_model)
    seed = fold_in(stream(SEED, "train"), 0)
    task_seeds = split_seed(seed, TASKS)
    values = all_values(learner)
    tasks = [Task([], [values[:5]], decay) for _ in range(TASKS)]
    returns = []
    for number in range(learner.inner_steps + 1):
        weights = [
            tf.constant(np.stack(parts), tf.float32)
            for parts in zip(*(task.sampled_by[-1] for task in tasks), strict=True)
        ]
        met = collect(weights, task_seeds, fold_in(seed, number))
        assert 0 < np.mean(met.mask) < 1
        returns.append(np.mean(met.returns()))
        counts = met.mask.numpy().reshape(TASKS, -1) > 0
        learned_from, evaluated_by = (
            zip(*(part.numpy().astype(np.float64) for part in estimated.examples(met)), strict=True)
            for estimated in (INNER, OUTER)
        )
        for task, support, query, own in zip(
            tasks, learned_from, evaluated_by, counts, strict=True
        ):
            if number < learner.inner_steps:
                task.support.append(support)
                task.sampled_by.append(adapted(values, task))
            else:
                task.query = Query(*query, own)
    return tasks, returns


@pytest.mark.parametrize(
    ("surrogate", "inner_steps"), [("plain", 1), pytest.param("dice", 2, marks=pytest.mark.slow)]
)
def test_the_meta_gradient_is_that_of_the_query_surrogate_by_theta_and_alpha(
    surrogate, inner_steps
):
    learner = make_learner(surrogate=surrogate, inner_steps=inner_steps)
    (tasks, returns), before = met_by(learner), all_values(learner)
    told = make_trainer(learner, keras.optimizers.SGD(1.0)).train(1)
    moved = as_row(before) - as_row(all_values(learner))

    def gradient(surrogate):
        return central_differences(lambda values: query_surrogate(values, tasks, surrogate), before)

    expected = gradient(surrogate)
    np.testing.assert_allclose(moved, expected, rtol=2e-3, atol=2e-5)
    assert (told["return_before"], told["return"]) == pytest.approx((returns[0], returns[-1]))
    log_stds = np.mean([task.sampled_by[-1][4] for task in tasks], axis=0)
    entropy = np.sum(log_stds + 0.5 * np.log(2 * np.pi * np.e))
    assert told["entropy"] == pytest.approx(entropy, rel=1e-4)
    assert told["meta_gradient_norm"] == pytest.approx(np.linalg.norm(expected), rel=1e-3)
    size = len(expected) // 2
    assert np.abs(expected[:size]).max() > 0.1 and np.abs(expected[size:]).max() > 0.01
    if surrogate == "dice":
        assert np.abs(gradient("plain") - expected).max() > 1e-2


@pytest.mark.parametrize("outer", [keras.optimizers.SGD(1.0), TrustRegion()])
def test_regularisers_count_in_the_outer_step_as_in_the_inner_ones(outer, monkeypatch):
    learner = make_learner()
    learner.theta[0].regularizer = keras.regularizers.L2(0.3)
    (tasks, _), before = met_by(learner, decay=0.3), all_values(learner)
    evaluated, gone = tf.Variable(np.nan), [tf.Variable(tf.zeros(v.shape)) for v in before]

    def probe(region, values, gradient, fisher_product, evaluate):
        evaluated.assign(evaluate(values)[0])
        for place, part in zip(gone, gradient, strict=True):
            place.assign(part)
        return Step(values, tf.zeros(()), tf.constant(0))

    monkeypatch.setattr(policy_trainer, "trust_region_step", probe)
    make_trainer(learner, outer).train(1)
    if isinstance(outer, TrustRegion):
        assert float(evaluated) == pytest.approx(ratio_surrogate(before, tasks), rel=1e-4)
        found = as_row([place.numpy() for place in gone])
    else:
        found = as_row(before) - as_row(all_values(learner))
    expected = central_differences(lambda values: query_surrogate(values, tasks), before)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=5e-5)


@pytest.fixture(scope="module")
def stepped():
    """A trust region's iteration, and what its step was given to work with."""
    rng = np.random.default_rng(3)
    made = types.SimpleNamespace(evaluated=tf.Variable([np.nan, np.nan]))

    def probe(region, values, gradient, fisher_product, evaluate):
        for vector, places in zip(made.vectors, made.products, strict=True):
            product = fisher_product([tf.constant(part, tf.float32) for part in vector])
            for place, part in zip(places, product, strict=True):
                place.assign(part)
        made.evaluated.assign(tf.stack(evaluate([value + 0.01 for value in values])))
        return trust_region_step(region, values, gradient, fisher_product, evaluate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(navigation, "REACHED", 0.3)
        patch.setattr(policy_trainer, "trust_region_step", probe)
        learner = make_learner()
        made.tasks, _ = met_by(learner)
        made.before = all_values(learner)
        made.vectors = [[rng.normal(size=value.shape) for value in made.before] for _ in range(2)]
        made.products = [[tf.Variable(tf.zeros(v.shape)) for v in made.before] for _ in range(2)]
        made.told = make_trainer(learner, TrustRegion(0.01)).train(1)
        made.after = all_values(learner)
    return made


def test_products_with_the_fisher_information_are_the_divergences_curvature(stepped):
    width = 1e-4
    for vector, places in zip(stepped.vectors, stepped.products, strict=True):
        ends = [
            central_differences(
                lambda values: divergence(values, stepped.tasks),
                [a + sign * width * b for a, b in zip(stepped.before, vector, strict=True)],
                width,
            )
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * width)
        found = as_row(places)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


def test_the_fisher_information_is_symmetric_and_positive(stepped):
    (one, other), products = map(as_row, stepped.vectors), [as_row(p) for p in stepped.products]
    assert one @ products[1] == pytest.approx(other @ products[0], rel=1e-3)
    assert one @ products[0] > 0 and other @ products[1] > 0


def test_a_step_is_evaluated_by_the_ratios_surrogate_and_the_divergence(stepped):
    beside = [value + 0.01 for value in stepped.before]
    expected = [ratio_surrogate(beside, stepped.tasks), divergence(beside, stepped.tasks)]
    np.testing.assert_allclose(stepped.evaluated, expected, rtol=1e-3, atol=1e-5)


def test_a_trust_regions_iteration_lowers_the_surrogate_within_the_radius(stepped):
    gone = divergence(stepped.after, stepped.tasks)
    assert 0.001 < gone <= 0.0101
    assert stepped.told["divergence"] == pytest.approx(gone, rel=1e-2)
    before, after = (ratio_surrogate(v, stepped.tasks) for v in (stepped.before, stepped.after))
    assert after < before - 1e-3
    assert 0 <= stepped.told["backtracks"] <= 15
