"""MAML++: its rates, losses, orders of derivatives and normalisation, each in its step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_batch import WAYS
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

RANDOM = np.random.default_rng(0)
SEED = tf.constant([1, 2])
BODY = "a/kernel", "a/bias", "b/kernel", "b/bias"
NORMS = "norm/gamma", "norm/beta"


def task(dtype="float32"):
    x, y = (np.random.default_rng(n).standard_normal((11, n)) for n in (3, 1))
    return Episode(*(tf.constant(part, dtype) for part in (x[:6], y[:6], x[6:], y[6:])))


def model(norm=True, dtype="float32"):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh", name="a", dtype=dtype)]
    layers += [keras.layers.BatchNormalization(name="norm", dtype=dtype)] * norm
    last = keras.layers.Dense(1, name="b", dtype=dtype)
    return keras.Sequential([keras.Input((3,), dtype=dtype), *layers, last], name="net")


def learner(norm=True, dtype="float32", **options):
    """Returns a learner of three steps whose rates, γ and β differ from step to step."""
    made = MamlPlusPlus(model(norm, dtype), "mse", **{"inner_steps": 3, **options})
    for number, variable in enumerate([*made.alpha.rates, *made.later]):
        moved = np.random.default_rng(number).uniform(-0.05, 0.05, variable.shape)
        variable.assign_add(tf.constant(moved, variable.dtype))
    return made


def values_of(made):
    return [tf.convert_to_tensor(variable) for variable in made.meta_variables]


def outer(made, values=None, iteration=0, dtype="float32"):
    values = values_of(made) if values is None else values
    return meta_gradient(made, values, task(dtype), SEED, iteration)[0]


def assert_equal(one, other, **tolerance):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


@pytest.mark.parametrize("steps", [1, 3])
def test_with_equal_rates_and_no_normalisation_it_is_maml(steps):
    made = MamlPlusPlus(model(norm=False), "mse", alpha_init=0.2, inner_steps=steps)
    maml = MetaLearner(
        model(norm=False), "mse", alpha="per_layer", alpha_init=0.2, inner_steps=steps
    )
    support = task()[:2]
    assert_equal(made.adapt(*support), maml.adapt(*support))
    ours, theirs = outer(made), outer(maml)
    assert_equal(ours[:4], theirs[:4])
    # MAML's one rate of a layer is that of every step.
    assert_equal([np.sum(rate) for rate in ours[4:]], theirs[4:], rtol=1e-4)
    assert [rate.shape for rate in ours[4:]] == [(steps,)] * 2


def by_hand(made, episode):
    """Returns the weights after each step, with γ and β of the step, worked out step by step."""
    names = [path.removeprefix("net/") for path in made.pure_model.names]
    weights = dict(zip(names, values_of(made)[: len(names)], strict=True))
    states = []
    for step in (0, 1, 2, 2):  # A fourth step repeats the third.
        if step:
            for name, later in zip(NORMS, made.later, strict=True):
                weights[name] = later[step - 1]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            outputs = made.pure_model(list(weights.values()), episode.support_inputs, training=True)
            loss = tf.reduce_mean(tf.square(outputs.outputs - episode.support_targets))
        slopes = tape.gradient(loss, weights)
        for name in BODY:
            rate = made.alpha.rates["ab".index(name[0])][step]
            weights[name] = weights[name] - rate * slopes[name]
        states.append(list(weights.values()))
    return states


def test_each_step_has_its_own_rates_and_normalisation():
    made, episode = learner(), task()
    states = made.adapt_stepwise(*episode[:2], 4)
    assert len(states) == 5
    assert_equal(states[0], made.theta)
    for ours, theirs in zip(states[1:], by_hand(made, episode), strict=True):
        assert_equal(ours, theirs)
    gammas = [state[made.pure_model.names.index("net/norm/gamma")] for state in states]
    np.testing.assert_array_equal(gammas[0], gammas[1])
    np.testing.assert_array_equal(gammas[2:4], made.later[0])
    assert np.abs(gammas[2] - gammas[1]).min() > 1e-4


def test_queries_are_answered_with_the_normalisation_of_the_last_step():
    made, episode = learner(), task()
    state = made.adapt(*episode[:2])
    before = made.predict(state, episode.query_inputs)
    made.later[1].assign_add([[0.0] * 4, [0.5] * 4])  # β of the last step.
    after = made.predict(made.adapt(*episode[:2]), episode.query_inputs)
    assert np.abs(after - before).max() > 0.05
    unadapted = made.predict(made.adapt(*episode[:2], steps=0), episode.query_inputs)
    plain = made.pure_model([v.value for v in made.theta], episode.query_inputs, training=False)
    np.testing.assert_array_equal(unadapted, plain.outputs)


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_each_state_is_that_of_as_many_steps(batch_norm):
    made, episode = learner(batch_norm=batch_norm), task()
    states = made.adapt_stepwise(*episode[:2], 4)
    for step, state in enumerate(states):
        assert_equal(state, made.adapt(*episode[:2], steps=step), rtol=0, atol=0)
        assert len(state) == 6 + 2 * (batch_norm == "support")


@pytest.mark.parametrize(("iteration", "batch_norm"), [(3, "transductive"), (10, "support")])
def test_the_meta_gradient_equals_central_differences(iteration, batch_norm):
    made = learner(dtype="float64", multi_step_iterations=10, batch_norm=batch_norm)
    values, number = values_of(made), tf.constant(iteration, tf.int64)
    found = outer(made, values, iteration, "float64")

    @tf.function(autograph=False)
    def objective(moved):
        return made.objective(moved, task("float64"), SEED, number)[0]

    # θ but γ and β, γ and β of step 0, the rates, γ and β of later steps.
    for group in ((0, 1, 4, 5), (2, 3), (6, 7), (8, 9)):
        along = [RANDOM.standard_normal(v.shape) * (n in group) for n, v in enumerate(values)]
        up, down = (
            objective([v + sign * 1e-5 * d for v, d in zip(values, along, strict=True)])
            for sign in (1, -1)
        )
        slope = sum(np.sum(g * d) for g, d in zip(found, along, strict=True))
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5, atol=1e-8)
        assert abs(slope) > 1e-3


def test_the_losses_of_all_steps_count_until_the_annealing_ends():
    made, episode = learner(multi_step_iterations=10), task()
    losses = [
        float(made.score(state, *episode[2:])[0]["loss"])
        for state in made.adapt_stepwise(*episode[:2], 3)[1:]
    ]
    for iteration, weights in ((0, [1 / 3] * 3), (5, [1 / 6, 1 / 6, 2 / 3]), (10, [0, 0, 1])):
        number = tf.constant(iteration, tf.int64)
        objective, scores, _ = made.objective(values_of(made), episode, SEED, number)
        np.testing.assert_allclose(objective, np.dot(weights, losses), rtol=1e-5)
        np.testing.assert_allclose(scores["loss"], losses[-1], rtol=1e-5)


def test_the_first_iterations_are_of_first_order_and_the_later_ones_of_second():
    made = MamlPlusPlus(
        model(norm=False), "mse", alpha_init=0.2, inner_steps=2, first_order_iterations=3
    )
    theirs = [
        outer(
            MetaLearner(
                model(norm=False),
                "mse",
                alpha="fixed",
                alpha_init=0.2,
                inner_steps=2,
                first_order=first_order,
            )
        )
        for first_order in (True, False)
    ]
    for iteration, expected in ((0, 0), (2, 0), (3, 1), (100, 1)):
        assert_equal(outer(made, iteration=iteration)[:4], theirs[expected])
    assert max(np.abs(a - b).max() for a, b in zip(*theirs, strict=True)) > 0.01


@pytest.mark.parametrize("way", [pytest.param(WAYS[0], marks=pytest.mark.slow), WAYS[2]])
def test_training_follows_the_objective_of_its_iteration(way):
    options = {"inner_steps": 2, "multi_step_iterations": 1, "first_order_iterations": 1}
    made = learner(norm=False, **options)
    trainer = MetaTrainer(
        made,
        lambda seed: task(),
        keras.optimizers.SGD(0.1),
        meta_batch_size=2,
        jit_compile=way == WAYS[0],
    )
    for iteration in (0, 1):
        gradient, other = (outer(made, iteration=n) for n in (iteration, 1 - iteration))
        before = [value.numpy() for value in values_of(made)]
        trainer.train(1)
        moved = [(b - v.numpy()) / 0.1 for b, v in zip(before, values_of(made), strict=True)]
        assert_equal(moved, gradient, rtol=1e-3, atol=1e-5)
        assert max(np.abs(a - b).max() for a, b in zip(gradient, other, strict=True)) > 0.01
    assert trainer.way == way


def test_adapting_changes_no_variable():
    made, episode = learner(), task()
    variables = [*made.model.variables, *made.alpha.rates, *made.later]
    before = [variable.numpy() for variable in variables]
    made.score(made.adapt(*episode[:2]), *episode[2:])
    assert_equal([variable.numpy() for variable in variables], before, rtol=0, atol=0)


def test_later_normalisation_starts_as_the_models_own():
    made = MamlPlusPlus(model(), "mse", inner_steps=3)
    gamma, beta = made.later
    assert [gamma.path, beta.path] == ["later/net/norm/gamma", "later/net/norm/beta"]
    np.testing.assert_array_equal(gamma, np.ones([2, 4]))
    np.testing.assert_array_equal(beta, np.zeros([2, 4]))
    assert MamlPlusPlus(model(), "mse", inner_steps=1).later == []


def test_the_rates_are_shown_by_layer():
    scalars, histograms = learner().alpha.statistics()
    assert scalars.keys() >= {"alpha_mean/a", "alpha_mean/b"} and "alpha_mean/norm" not in scalars
    assert histograms["alpha/a"].shape == (2 * 3,)


def test_a_model_that_only_normalises_is_refused():
    only = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()], name="only")
    with pytest.raises(InputError, match="model='only': all its weights are of batch normalisat"):
        MamlPlusPlus(only, "mse")
