"""Evaluation against the same scores taken one task at a time, and its confidence interval."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.tasks.sinusoid import Sinusoid
from models.mlp import mlp
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, stream
from trainers.supervised import evaluation as module
from trainers.supervised.evaluation import evaluation, mean_and_ci95

FAMILY = Sinusoid(shots=5, queries=7)
COUNT = 11


def episode(number):
    return FAMILY.episode(fold_in(stream(0, "test"), number), "test")


def learner(model=None, **options):
    return MetaLearner(
        model or mlp((1,), 1, seed=0, stddev=0.2),
        "mse",
        metrics={"mae": keras.losses.mean_absolute_error},
        alpha_init=0.01,
        **options,
    )


def perceptron(weights, inputs):
    w1, b1, w2, b2, w3, b3 = weights
    hidden = np.maximum(np.maximum(inputs @ w1 + b1, 0) @ w2 + b2, 0)
    return hidden @ w3 + b3


def test_scores_are_those_of_each_task_by_itself():
    made = learner()
    found = evaluation(made, episode, COUNT, steps=2)()
    assert {name: (values.shape, values.dtype) for name, values in found.items()} == {
        "loss": ((COUNT, 3), np.float32),
        "mae": ((COUNT, 3), np.float32),
    }
    for number in range(COUNT):
        task = episode(tf.constant(number))
        for step in range(3):
            weights = made.adapt(task.support_inputs, task.support_targets, steps=step)
            error = perceptron([w.numpy() for w in weights], task.query_inputs.numpy())
            error -= task.query_targets.numpy()
            np.testing.assert_allclose(found["loss"][number, step], (error**2).mean(), rtol=2e-4)
            np.testing.assert_allclose(found["mae"][number, step], abs(error).mean(), rtol=2e-4)
    assert np.all(np.diff(found["loss"].mean(0)) < 0)


@pytest.mark.parametrize("task_batching", ["side_by_side", "batched"])
def test_replicas_share_the_tasks_and_find_the_same(task_batching, monkeypatch):
    """11 tasks of two devices: chunks do not divide, and the last one is filled up."""
    monkeypatch.setattr(module, "tasks_at_once", lambda *_: 3)
    settings = {"steps": 1, "before": lambda number: number < 4, "block": 6}
    alone = evaluation(learner(), episode, COUNT, task_batching=task_batching, **settings)()
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices)
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        shared = evaluation(learner(), episode, COUNT, task_batching=task_batching, **settings)
    for _ in range(2):
        for name, values in shared().items():
            np.testing.assert_allclose(values, alone[name], rtol=1e-5, err_msg=name)


def test_the_usual_number_of_steps_is_the_learners():
    found = evaluation(learner(inner_steps=3), episode, 2)()
    assert found["loss"].shape == (2, 4)


def test_no_step_scores_theta():
    made = learner()
    found = evaluation(made, episode, COUNT, steps=0)()
    several = evaluation(made, episode, COUNT, steps=1)()
    assert found["loss"].shape == (COUNT, 1)
    np.testing.assert_allclose(found["loss"][:, 0], several["loss"][:, 0], rtol=1e-5)


def test_only_the_tasks_asked_for_are_scored_before_adaptation():
    made = learner()
    every = evaluation(made, episode, COUNT, steps=2)()
    some = evaluation(made, episode, COUNT, steps=2, before=lambda number: number % 5 < 2)()
    asked = np.isin(np.arange(COUNT), [0, 1, 5, 6, 10])
    for name in every:
        np.testing.assert_array_equal(np.isnan(some[name][:, 0]), ~asked)
        np.testing.assert_allclose(some[name][asked, 0], every[name][asked, 0], rtol=1e-5)
        np.testing.assert_allclose(some[name][:, 1:], every[name][:, 1:], rtol=1e-5)


def test_the_learner_is_scored_as_it_is_when_called():
    made = learner()
    scores = evaluation(made, episode, COUNT)
    before = scores()["loss"]
    for weight in made.theta:
        weight.assign(2 * weight)
    after = scores()["loss"]
    assert np.all(before[:, 0] != after[:, 0])
    for rate in made.alpha.rates:
        rate.assign(0 * rate)
    unadapted = scores()["loss"]
    np.testing.assert_allclose(unadapted[:, 1], after[:, 0], rtol=1e-5)


def test_nothing_is_changed_by_an_evaluation():
    made = learner()
    before = [v.numpy() for v in [*made.theta, *made.alpha.rates]]
    evaluation(made, episode, COUNT, steps=2)()
    for old, new in zip(before, [*made.theta, *made.alpha.rates], strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_dropout_is_left_out():
    def network(rate):
        layers = [keras.layers.Dense(8, kernel_initializer=keras.initializers.Constant(0.1))]
        layers += [keras.layers.Dropout(rate)] if rate else []
        layers += [keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.2))]
        return keras.Sequential([keras.Input((1,)), *layers])

    made = learner(network(0.5))
    scores = evaluation(made, episode, COUNT)
    first = scores()["loss"]
    np.testing.assert_array_equal(first, scores()["loss"])
    without = evaluation(learner(network(None)), episode, COUNT)()["loss"]
    np.testing.assert_allclose(first, without, rtol=1e-5)


def test_the_confidence_interval_is_the_one_worked_out_by_hand():
    # Mean 3, squared deviations 4 + 1 + 0 + 1 + 4, s² = 10 / 4, 1.96 √(2.5 / 5) = 1.96 √0.5.
    assert mean_and_ci95(np.array([1, 2, 3, 4, 5])) == pytest.approx((3, 1.96 * 0.5**0.5))
    # Mean 0.5, s² = 4 · 0.25 / 3, 1.96 √(1 / 12).
    assert mean_and_ci95(np.array([0, 1, 1, 0], np.float32)) == pytest.approx((0.5, 1.96 / 12**0.5))
    assert mean_and_ci95(np.array([0.25, 0.25])) == (0.25, 0)


def test_small_differences_between_large_scores_are_not_lost():
    # In float32 the sum of these would be rounded by more than the interval.
    values = np.array([1e4, 1e4 + 2**-9] * 50, np.float32)
    mean, ci95 = mean_and_ci95(values)
    assert mean == pytest.approx(1e4 + 2**-10, abs=1e-8)
    assert ci95 == pytest.approx(1.96 * 2**-10 * (100 / 99) ** 0.5 / 10, rel=1e-6)


@pytest.mark.parametrize("at_once", [4, 100])
def test_tasks_as_one_batch_have_the_scores_that_they_have_side_by_side(at_once, monkeypatch):
    # Blocks of 6 and 5 tasks, in chunks of 3 or whole, the last of them filled up.
    monkeypatch.setattr(module, "tasks_at_once", lambda model, examples: at_once)
    made = learner()
    batched, beside = (
        evaluation(
            made,
            episode,
            COUNT,
            steps=2,
            before=lambda number: number % 5 < 2,
            block=6,
            task_batching=way,
        )()
        for way in ("batched", "side_by_side")
    )
    for name, values in beside.items():
        np.testing.assert_allclose(batched[name], values, rtol=1e-5)


def test_an_unknown_way_of_batching_is_refused():
    with pytest.raises(InputError, match="task_batching='whole': should be one of auto, batched"):
        evaluation(learner(), episode, COUNT, task_batching="whole")
