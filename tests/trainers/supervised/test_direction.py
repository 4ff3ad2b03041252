"""The learned direction, and the gradient that it is measured against, worked out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.direction import direction_cosines

RNG = np.random.default_rng(5)
INPUTS = RNG.normal(size=[3, 6, 4]).astype(np.float32)
TARGETS = RNG.normal(size=[3, 6, 2]).astype(np.float32)


def learner(alpha="per_weight", penalty=0.0, extra=()):
    """A linear network of two layers, x ↦ (x A + a) B + b, with weights and rates of any sign."""
    layers = [
        keras.layers.Dense(
            3, name="first", kernel_regularizer=keras.regularizers.L2(penalty) if penalty else None
        ),
        *extra,
        keras.layers.Dense(2, name="second"),
    ]
    made = MetaLearner(
        keras.Sequential([keras.Input((4,)), *layers]), "mse", alpha=alpha, alpha_init=0.1
    )
    shuffle(made, seed=1)
    return made


def shuffle(made, seed):
    rng = np.random.default_rng(seed)
    for variable in [*made.theta, *made.alpha.rates]:
        variable.assign(rng.normal(size=variable.shape))


def gradient(made, inputs, targets, penalty=0.0):
    """The derivatives of the mean over N · 2 squared errors, and of the penalty Σ A²."""
    a, a0, b, b0 = (weight.numpy().astype(np.float64) for weight in made.theta)
    hidden = inputs @ a + a0
    slope = 2 * (hidden @ b + b0 - targets) / targets.size
    back = slope @ b.T
    return [inputs.T @ back + 2 * penalty * a, back.sum(0), hidden.T @ slope, slope.sum(0)]


def supports():
    return tf.constant(INPUTS), tf.constant(TARGETS)


def first_support():
    return tf.constant(INPUTS[:1]), tf.constant(TARGETS[:1])


def cosine(one, other):
    return (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())


def expected_cosines(made):
    """Means over the three tasks, with α = (rates of A, a, B, b)."""
    rates = [rate.numpy().ravel() for rate in made.alpha.rates]
    found = []
    for inputs, targets in zip(INPUTS, TARGETS, strict=True):
        slopes = [g.ravel() for g in gradient(made, inputs, targets)]
        parts = {"all_layers": slice(4), "first": slice(0, 2), "second": slice(2, 4)}
        rows = {
            name: (np.concatenate(rates[part]), np.concatenate(slopes[part]))
            for name, part in parts.items()
        }
        found.append({name: cosine(rate * g, g) for name, (rate, g) in rows.items()})
    return {
        name: np.mean([task[name] for task in found]) for name in ("all_layers", "first", "second")
    }


def test_the_support_gradient_is_the_one_worked_out():
    made = learner()
    for inputs, targets in zip(INPUTS, TARGETS, strict=True):
        found = made.support_gradient(inputs, targets)
        for g, expected in zip(found, gradient(made, inputs, targets), strict=True):
            np.testing.assert_allclose(g, expected, rtol=1e-4, atol=1e-5)


def test_the_support_gradient_is_that_of_the_first_inner_step():
    made = learner()
    fast = made.adapt(INPUTS[0], TARGETS[0], steps=1)
    slopes = gradient(made, INPUTS[0], TARGETS[0])
    for new, old, rate, g in zip(fast, made.theta, made.alpha.rates, slopes, strict=True):
        np.testing.assert_allclose(new, old.numpy() - rate.numpy() * g, rtol=1e-4, atol=1e-5)


def test_the_support_gradient_has_the_models_own_losses_and_no_dropout():
    made = learner(penalty=0.25, extra=[keras.layers.Dropout(0.5)])
    found = made.support_gradient(INPUTS[0], TARGETS[0])
    expected = gradient(made, INPUTS[0], TARGETS[0], penalty=0.25)
    for g, worked_out in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, worked_out, rtol=1e-4, atol=1e-5)


def test_a_weight_without_a_gradient_is_named():
    inputs = keras.Input((4,))
    used, unused = keras.layers.Dense(2, name="used"), keras.layers.Dense(2, name="unused")
    outputs = used(inputs) + 0 * keras.ops.stop_gradient(unused(inputs))
    made = MetaLearner(keras.Model(inputs, outputs), "mse", alpha_init=0.1)
    with pytest.raises(InputError, match="does not depend on the weight unused/kernel"):
        made.support_gradient(INPUTS[0], TARGETS[0])


def test_cosines_are_means_over_tasks_by_layer_and_over_all_weights():
    made = learner()
    found = direction_cosines(made, supports)()
    expected = expected_cosines(made)
    assert any(rate.numpy().min() < 0 for rate in made.alpha.rates)
    assert list(found) == ["all_layers", "first", "second"]
    assert all(type(value) is float for value in found.values())
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_support_sets_may_be_other_ones_each_time():
    made, chosen = learner(), tf.Variable([2])
    cosines = direction_cosines(
        made, lambda: (tf.gather(INPUTS, chosen), tf.gather(TARGETS, chosen))
    )
    for number in (2, 0):
        chosen.assign([number])
        update, slopes = [], []
        for rate, g in zip(
            made.alpha.rates, gradient(made, INPUTS[number], TARGETS[number]), strict=True
        ):
            update.append((rate.numpy() * g).ravel())
            slopes.append(g.ravel())
        whole = cosine(np.concatenate(update), np.concatenate(slopes))
        assert cosines()["all_layers"] == pytest.approx(whole, abs=1e-5)


def test_a_learner_is_measured_as_it_is_when_asked():
    made = learner()
    cosines = direction_cosines(made, supports)
    before = cosines()
    shuffle(made, seed=2)
    after = cosines()
    assert after == pytest.approx(expected_cosines(made), abs=1e-5)
    assert all(abs(after[name] - before[name]) > 0.01 for name in before)


@pytest.mark.parametrize("rate", [0.5, -0.25])
@pytest.mark.parametrize("kind", ["scalar", "fixed"])
def test_one_rate_for_all_keeps_the_direction_or_reverses_it(kind, rate):
    made = learner(kind)
    made.alpha.rates[0].assign(rate)
    found = direction_cosines(made, supports)()
    sign = np.sign(rate)
    assert found == pytest.approx({"all_layers": sign, "first": sign, "second": sign}, abs=1e-6)


def test_a_rate_for_each_layer_turns_only_all_weights_together():
    made = learner("per_layer")
    for rate, value in zip(made.alpha.rates, (2.0, -3.0), strict=True):
        rate.assign(value)
    found = direction_cosines(made, first_support)()
    slopes = [g.ravel() for g in gradient(made, INPUTS[0], TARGETS[0])]
    update = np.concatenate([2 * slopes[0], 2 * slopes[1], -3 * slopes[2], -3 * slopes[3]])
    whole = cosine(update, np.concatenate(slopes))
    assert found == pytest.approx({"all_layers": whole, "first": 1, "second": -1}, abs=1e-5)


def test_a_gradient_or_an_update_of_zero_counts_as_a_cosine_of_zero():
    made = learner("scalar")
    made.alpha.rates[0].assign(0.5)
    _, first_bias, second, second_bias = made.theta
    for bias in (first_bias, second_bias):
        bias.assign(0 * bias)

    def half_solved():  # Task 0 asks for 0 at 0, where the network answers 0.
        solved = tf.constant([0.0, 1.0])[:, tf.newaxis, tf.newaxis]
        return INPUTS[:2] * solved, TARGETS[:2] * solved

    cosines = direction_cosines(made, half_solved)
    assert cosines() == pytest.approx({"all_layers": 0.5, "first": 0.5, "second": 0.5}, abs=1e-6)
    second.assign(0 * second)  # Nothing reaches the first layer any more.
    assert cosines() == pytest.approx({"all_layers": 0.5, "first": 0, "second": 0.5}, abs=1e-6)
    made.alpha.rates[0].assign(0.0)
    assert cosines() == {"all_layers": 0, "first": 0, "second": 0}


def test_nothing_is_changed_by_measuring():
    made = learner()
    before = [variable.numpy() for variable in [*made.theta, *made.alpha.rates]]
    direction_cosines(made, supports)()
    for old, new in zip(before, [*made.theta, *made.alpha.rates], strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_a_tied_last_layer_may_have_other_ways_than_the_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="last")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made = MetaLearner(model, loss, tied_head=True, ways=5, alpha_init=0.1)
    supports = tf.constant(INPUTS[:, :5]), tf.constant([[0, 1, 2, 3, 4]] * 3)
    # Rates that are all the same leave the direction as it is.
    assert direction_cosines(made, lambda: supports)() == pytest.approx(
        {"all_layers": 1.0, "last": 1.0}
    )
