"""Algorithm 1: what is learned, what is not, and on what the result depends."""

import contextlib
import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.mlp import mlp
from tests.trainers.supervised.trainers_of_curves import TASKS, anew, state, trainer
from trainers.errors import InputError
from trainers.seeds import fold_in, split_seed, stream
from trainers.supervised.meta_gradient import meta_gradient


def test_one_iteration_is_a_step_along_the_mean_of_the_tasks_gradients():
    made = trainer(
        optimizer=keras.optimizers.SGD(0.5), meta_batch_size=11, seed=9, jit_compile=True
    )
    before = state(made)
    gradients = []
    for seed in split_seed(fold_in(stream(9, "train"), 0), 11):
        gradients.append(
            meta_gradient(
                made.learner,
                [tf.constant(value) for value in before],
                TASKS(seed),
                seed,
            )[0]
        )
    made.train(1)
    for old, new, *gradient in zip(before, state(made), *gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * np.mean(gradient, axis=0), atol=1e-5)


def test_training_lowers_the_loss_and_alpha_moves_to_both_signs():
    model = mlp((1,), 1, seed=0, stddev=0.3)
    made = trainer(model=model, meta_batch_size=8, jit_compile=True)
    first = made.train(100)["loss"]
    made.train(800)
    assert made.train(100)["loss"] < 0.6 * first
    rates = np.concatenate([np.ravel(rate) for rate in made.learner.alpha.rates])
    assert np.mean(rates != np.float32(0.02)) > 0.8
    assert np.mean(rates < 0) > 0.01


def test_mamls_alpha_stays_and_theta_moves_as_far_as_clipping_lets_it():
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1e-3)
    made = trainer(alpha="fixed", alpha_init=0.01, optimizer=optimizer)
    before = state(made)
    made.train(1)
    after = state(made)
    assert len(after) == 5 and after[-1] == before[-1] == np.float32(0.01)
    moved = [a - b for a, b in zip(after[:4], before[:4], strict=True)]
    assert all(np.any(part) for part in moved)
    whole = np.linalg.norm(np.concatenate([np.ravel(part) for part in moved]))
    np.testing.assert_allclose(whole, 1e-3, rtol=1e-3)


@pytest.mark.parametrize(("alpha", "count"), [("per_weight", 4), ("per_layer", 2), ("scalar", 1)])
def test_alpha_is_shared_as_its_kind_says(alpha, count):
    learner = trainer(alpha=alpha).learner
    rates = learner.alpha.rates
    assert len(rates) == count
    if alpha == "per_weight":
        assert [r.shape for r in rates] == [w.shape for w in learner.theta]
    seed = tf.constant([1, 2])
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    *_, of_the_last = meta_gradient(learner, values, TASKS(seed), seed)[0]
    assert of_the_last.shape == rates[-1].shape and np.all(of_the_last.numpy() != 0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_result_does_not_depend_on_how_iterations_are_divided(jit_compile):
    whole = anew(jit_compile)
    whole.train(30)
    expected = state(whole)
    parts = anew(jit_compile)
    for count in (1, 12, 17):
        parts.train(count)
    assert int(parts.iteration.numpy()) == 30
    for a, b in zip(expected, state(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def in_bursts(made, *bursts):
    """Lets calls of the compiled loop make so many iterations, in turn and over again."""
    turns = itertools.cycle(bursts)
    made._pace = types.SimpleNamespace(burst=next(turns))

    @contextlib.contextmanager
    def timed(iterations):
        assert iterations <= made._pace.burst
        yield
        made._pace.burst = next(turns)

    made._pace.timed = timed
    return made


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_result_does_not_depend_on_the_bursts(jit_compile):
    whole = in_bursts(anew(jit_compile), 30)
    told, expected = whole.train(30), state(whole)
    assert int(whole.iteration.numpy()) == 30
    parts = in_bursts(anew(jit_compile), 1, 2, 1, 4)
    assert parts.train(30) == told
    assert int(parts.iteration.numpy()) == 30
    for a, b in zip(expected, state(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_stops_between_calls_when_asked():
    alone = in_bursts(anew(), 1)
    iterations = [alone.train(1) for _ in range(10)]
    expected_state = state(alone)
    made = in_bursts(anew(), 3)
    asked_at = []

    def stop():
        asked_at.append(int(made.iteration.numpy()))
        return len(asked_at) == 2

    means = made.train(12, stop)
    assert asked_at == [3, 6]
    assert int(made.iteration.numpy()) == 6
    for name in ("loss", "meta_gradient_norm"):
        expected = np.mean([scores[name] for scores in iterations[:6]])
        assert means[name] == pytest.approx(expected, rel=1e-6)
    # The means of what follows begin anew.
    expected = np.mean([scores["loss"] for scores in iterations[6:]])
    assert made.train(4)["loss"] == pytest.approx(expected, rel=1e-6)
    for a, b in zip(state(made), expected_state, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("iterations", "done"), [(12, 3), (2, 2)])
def test_one_call_is_made_whatever_stop_says(iterations, done):
    made = in_bursts(anew(), 3)
    made.train(iterations, lambda: True)
    assert int(made.iteration.numpy()) == done


def test_a_training_that_is_at_its_end_asks_nothing_more():
    made = in_bursts(anew(), 3)
    asked = []
    made.train(6, lambda: asked.append(True))  # Which says no, as None is not true.
    assert len(asked) == 1 and int(made.iteration.numpy()) == 6


def test_two_replicas_share_the_tasks_and_give_what_one_gives():
    alone = trainer(meta_batch_size=4, optimizer=keras.optimizers.SGD(1e-3), seed=1)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        both = trainer(meta_batch_size=4, optimizer=keras.optimizers.SGD(1e-3), seed=1)
        with pytest.raises(InputError, match="meta_batch_size=3.*multiple of the 2"):
            trainer(meta_batch_size=3)
    losses = [(alone.train(count)["loss"], both.train(count)["loss"]) for count in (1, 5, 5)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-4)
    for a, b in zip(state(alone), state(both), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert losses[0][0] != anew().train(1)["loss"]  # Whose tasks are of another seed.


def test_dropout_masks_differ_between_tasks_and_iterations():
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(64, use_bias=False, kernel_initializer="ones"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        ]
    )
    episode = TASKS(tf.constant([0, 0]))
    made = trainer(
        model=model,
        tasks=lambda seed: episode,
        optimizer=keras.optimizers.SGD(0.0),
        meta_batch_size=1,
        jit_compile=True,
    )
    losses = [made.train(1)["loss"] for _ in range(5)]
    assert len(set(losses)) == 5
    made.iteration.assign(0)
    assert [made.train(1)["loss"] for _ in range(5)] == losses


def test_moving_averages_follow_the_tasks():
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.BatchNormalization(momentum=0.5, name="norm"),
            keras.layers.Dense(1),
        ]
    )
    made = trainer(model=model, meta_batch_size=2)
    made.train(1)
    seeds = split_seed(fold_in(stream(0, "train"), 0), 2)
    queries = [TASKS(seed).query_inputs.numpy() for seed in seeds]
    np.testing.assert_allclose(
        model.get_layer("norm").moving_mean, [0.5 * np.mean(queries)], rtol=1e-4
    )
