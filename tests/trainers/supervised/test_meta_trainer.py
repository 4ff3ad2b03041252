"""Algorithm 1: what is learned, what is not, and on what the result depends."""

import contextlib
import functools
import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.tasks.sinusoid import Sinusoid
from models.mlp import mlp
from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, split_seed, stream
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.supervised.pace import Pace

FAMILY = Sinusoid(shots=5, queries=5)
TASKS = FAMILY.sampler("train")


def trainer(
    alpha="per_weight",
    alpha_init=0.02,
    optimizer=None,
    model=None,
    tasks=TASKS,
    jit_compile=False,
    **options,
):
    learner = MetaLearner(
        model or mlp((1,), 1, seed=0, stddev=0.3), "mse", alpha=alpha, alpha_init=alpha_init
    )
    return MetaTrainer(
        learner,
        tasks,
        optimizer or keras.optimizers.Adam(0.01),
        jit_compile=jit_compile,
        **options,
    )


def state(made):
    return [v.numpy() for v in [*made.learner.theta, *made.learner.alpha.rates]]


def all_variables(made):
    return [*made.learner.meta_variables, *made.optimizer.variables, made.iteration]


def from_the_start(made, start):
    """Sets everything of a trainer back to what `all_variables` were, without tracing it anew."""
    for variable, value in zip(all_variables(made), start, strict=True):
        variable.assign(value)
    made._pace = Pace()
    return made


@functools.cache
def traced(jit_compile):
    made = trainer(jit_compile=jit_compile)
    made.prepare()
    return made, [tf.convert_to_tensor(variable) for variable in all_variables(made)]


def anew(jit_compile=False):
    """Returns a trainer, one and the same at each call, as if it had just been made."""
    return from_the_start(*traced(jit_compile))


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
    made = trainer(meta_batch_size=8, jit_compile=True)
    first = made.train(100)["loss"]
    made.train(800)
    assert made.train(100)["loss"] < 0.6 * first
    rates = np.concatenate([np.ravel(rate) for rate in made.learner.alpha.rates])
    assert np.mean(rates != np.float32(0.02)) > 0.8
    assert np.mean(rates < 0) > 0.01


def test_mamls_alpha_stays_and_theta_moves():
    made = trainer(alpha="fixed", alpha_init=0.01)
    before = state(made)
    made.train(20)
    after = state(made)
    assert len(after) == 7 and after[-1] == np.float32(0.01)
    assert all(not np.array_equal(a, b) for a, b in zip(before[:4], after[:4], strict=True))


@pytest.mark.parametrize(("alpha", "count"), [("per_weight", 6), ("per_layer", 3), ("scalar", 1)])
def test_alpha_is_shared_as_its_kind_says(alpha, count):
    made = trainer(alpha=alpha)
    rates = made.learner.alpha.rates
    assert len(rates) == count
    if alpha == "per_weight":
        assert [r.shape for r in rates] == [w.shape for w in made.learner.theta]
    made.train(20)
    assert all(np.all(rate.numpy() != np.float32(0.02)) for rate in rates[-1:])


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


def test_seeds_change_the_tasks():
    assert anew().train(1)["loss"] != trainer(seed=1).train(1)["loss"]


def test_two_replicas_share_the_tasks_and_give_what_one_gives():
    alone = trainer(meta_batch_size=4, optimizer=keras.optimizers.SGD(1e-3))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        both = trainer(meta_batch_size=4, optimizer=keras.optimizers.SGD(1e-3))
        with pytest.raises(InputError, match="meta_batch_size=3.*multiple of the 2"):
            trainer(meta_batch_size=3)
    for _ in range(3):
        np.testing.assert_allclose(alone.train(5)["loss"], both.train(5)["loss"], rtol=1e-4)
    for a, b in zip(state(alone), state(both), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_clipping_bounds_the_step():
    made = trainer(optimizer=keras.optimizers.SGD(1.0, global_clipnorm=1e-3))
    before = state(made)
    made.train(1)
    moved = np.concatenate([np.ravel(a - b) for a, b in zip(before, state(made), strict=True)])
    np.testing.assert_allclose(np.linalg.norm(moved), 1e-3, rtol=1e-3)


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
    made = trainer(model=model, meta_batch_size=2, jit_compile=True)
    made.train(1)
    seeds = split_seed(fold_in(stream(0, "train"), 0), 2)
    queries = [TASKS(seed).query_inputs.numpy() for seed in seeds]
    np.testing.assert_allclose(
        model.get_layer("norm").moving_mean, [0.5 * np.mean(queries)], rtol=1e-4
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_number_that_is_not_finite_stops_at_its_iteration(jit_compile):
    # The second task of the iteration `poisoned`, counted from 0, is not finite.
    poisoned = tf.Variable(400)

    def tasks(seed):
        episode = TASKS(seed)
        bad_seed = split_seed(fold_in(stream(0, "train"), poisoned), 2)[1]
        poison = tf.where(tf.equal(seed[0], bad_seed[0]), np.float32("nan"), 0.0)
        return episode._replace(query_targets=episode.query_targets + poison)

    made = trainer(tasks=tasks, meta_batch_size=2, jit_compile=jit_compile)
    start = [tf.convert_to_tensor(variable) for variable in all_variables(made)]
    made.train(4)
    expected = state(made)
    poisoned.assign(4)
    from_the_start(made, start)
    with pytest.raises(DivergedError, match="meta-iteration 5 .*own query_targets.*task 1"):
        made.train(10)
    assert int(made.iteration.numpy()) == 4
    for a, b in zip(state(made), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_divergence_names_its_cause():
    made = trainer(alpha_init=1e30)
    with pytest.raises(DivergedError, match=r"loss is (inf|nan) after 1 inner step.*alpha_init"):
        made.train(3)


class TwoHeads(keras.Model):
    """A network one of whose heads is left alone."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = keras.layers.Dense(1), keras.layers.Dense(2, name="unused")

    def build(self, shape):
        self.used.build(shape)
        self.unused.build(shape)
        self.built = True

    def call(self, x):
        return self.used(x)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_errors_of_ours_are_themselves_from_within_a_graph(jit_compile):
    model = TwoHeads()
    model.build((None, 1))
    made = trainer(model=model, jit_compile=jit_compile)
    episode = TASKS(tf.constant([1, 2]))
    converted = tf.function(lambda: made.learner.adapt(*episode[:2]))
    for function in (lambda: made.train(1), converted):
        with pytest.raises(InputError, match=r"^the loss does not depend on the weight [^\n]*$"):
            function()


def normal_numbers(seed):
    """Draws what XLA draws otherwise from the same seed, and sometimes no numbers."""
    x = tf.random.stateless_normal([6, 1], seed)
    bad = tf.random.stateless_normal([], seed) > 1.3
    y = tf.where(bad, float("nan"), x)
    return Episode(x[:3], y[:3], x[3:], y[3:])


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_divergence_is_explained_by_the_task_that_was_met(jit_compile):
    made = trainer(tasks=normal_numbers, jit_compile=jit_compile)
    cause = r"the task's own support_targets are not finite \(task \d of the meta-batch\)"
    with pytest.raises(DivergedError, match=cause):
        made.train(100)
