"""Which weights share a learned rate, where it starts, and whether it is learned."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.alpha import KINDS, Alpha, draw_initial_value
from trainers.learners.meta_sgd import MetaLearner


def weights():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(1, name="b")]
    )
    return model.trainable_variables


SHARED = {
    "per_weight": [0, 1, 2, 3],
    "per_layer": [0, 0, 1, 1],
    "scalar": [0, 0, 0, 0],
    "fixed": [0, 0, 0, 0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_share_rates_as_the_kind_says(kind):
    alpha = Alpha(kind, weights(), 0.25)
    assert alpha.per_weight([f"rate {n}" for n in range(len(alpha.rates))]) == [
        f"rate {n}" for n in SHARED[kind]
    ]
    assert len(alpha.rates) == max(SHARED[kind]) + 1
    assert all(np.all(rate.numpy() == 0.25) for rate in alpha.rates)


@pytest.mark.parametrize("kind", KINDS)
def test_only_per_weight_rates_have_the_weights_shapes(kind):
    shapes = [tuple(rate.shape) for rate in Alpha(kind, weights(), 0.25).rates]
    if kind == "per_weight":
        assert shapes == [(2, 3), (3,), (3, 1), (1,)]
    else:
        assert set(shapes) == {()}


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_may_have_rates_of_its_own(kind):
    alone, made = Alpha(kind, weights(), 0.25), Alpha(kind, weights(), 0.25, steps=3)
    for one, several in zip(alone.rates, made.rates, strict=True):
        np.testing.assert_array_equal(several, np.stack([one] * 3))
    made.rates[0].assign_add(tf.ones_like(made.rates[0]))
    found = made.by_layer(made.per_weight(made.rates))
    assert {layer: values.shape[0] for layer, values in found.items()} == {
        layer: 3 * values.shape[0]
        for layer, values in alone.by_layer(alone.per_weight(alone.rates)).items()
    }
    assert found["a"][0] == 1.25


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_but_fixed_are_learned(kind):
    alpha = Alpha(kind, weights(), 0.25)
    assert len(alpha.learned) == (0 if kind == "fixed" else len(alpha.rates))
    assert len(alpha.trainable_variables) == len(alpha.learned)
    assert len(alpha.variables) == len(alpha.rates)  # What a checkpoint saves.


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="alpha='per_neuron'.*per_weight, per_layer, scalar, fixe"):
        Alpha("per_neuron", weights(), 0.25)


def test_the_initial_value_is_drawn_from_the_papers_range():
    drawn = np.array([draw_initial_value(seed) for seed in range(500)])
    assert 0.005 <= drawn.min() < 0.007 and 0.098 < drawn.max() <= 0.1
    assert drawn.mean() == pytest.approx(0.0525, abs=0.004)
    assert draw_initial_value(7) == draw_initial_value(7) != draw_initial_value(8)


def test_a_learner_draws_its_initial_value_by_seed_unless_it_is_given():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    drawn = MetaLearner(model, "mse", seed=7).alpha
    given = MetaLearner(model, "mse", seed=7, alpha_init=0.5).alpha
    assert drawn.initial_value == draw_initial_value(7)
    assert given.initial_value == 0.5
    np.testing.assert_array_equal(drawn.rates[0], np.full((2, 1), drawn.initial_value, "float32"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_has_the_entries_of_its_weights_in_a_row(kind):
    alpha = Alpha(kind, weights(), 0.25)
    values = [np.arange(6).reshape(2, 3), np.array([6, 7, 8]), np.full([3, 1], 9), np.array([10])]
    found = alpha.by_layer(values)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], np.arange(9))
    np.testing.assert_array_equal(found["b"], [9, 9, 9, 10])


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("per_layer", [1.0, 2.0], {"a": [1, 1], "b": [2, 2]}),
        ("scalar", [3.0], {"a": [3, 3], "b": [3, 3]}),
    ],
)
def test_a_shared_rate_counts_once_for_each_weight(kind, values, expected):
    alpha = Alpha(kind, weights(), 0.25)
    found = alpha.by_layer(alpha.per_weight([np.float32(value) for value in values]))
    assert {layer: list(rates.numpy()) for layer, rates in found.items()} == expected


def test_one_tensor_for_each_weight_is_needed():
    with pytest.raises(ValueError):
        Alpha("scalar", weights(), 0.25).by_layer([0.25] * 3)


def test_a_lone_weight_has_a_layer_too():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, use_bias=False, name="a")])
    alpha = Alpha("per_layer", model.trainable_variables, 0.25)
    assert list(alpha.by_layer(alpha.per_weight(alpha.rates))) == ["a"]


def test_weights_may_start_at_values_of_their_own():
    begun = Alpha("per_weight", weights(), 0.25, initial_values={1: 0.5, 3: 0.0}).rates
    assert [float(rate.numpy().max()) for rate in begun] == [0.25, 0.5, 0.25, 0.0]
    begun = Alpha("per_layer", weights(), 0.25, initial_values={0: 0.5, 1: 0.5}).rates
    assert [float(rate.numpy()) for rate in begun] == [0.5, 0.25]


def test_one_rate_may_be_given_its_value_for_each_weight():
    begun = Alpha("scalar", weights(), 0.25, initial_values=dict.fromkeys(range(4), 0.5))
    assert [float(rate.numpy()) for rate in begun.rates] == [0.5]


def test_initial_values_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        Alpha("per_weight", weights(), 0.25, {1: 0.5})


@pytest.mark.parametrize("other", [0.5, 0.125])
def test_a_rate_cannot_start_at_two_values(other):
    told = rf"alpha=per_layer: .*b/bias shares .* at {other}, and should start at 0.25; give them"
    with pytest.raises(InputError, match=told):
        Alpha("per_layer", weights(), 0.25, initial_values={2: other})


def test_statistics_are_means_and_shares_below_zero():
    alpha = Alpha("per_weight", weights(), 0.25)
    alpha.rates[0].assign([[-2.0, 0.0, 1.0], [-1.0, -0.5, 0.5]])
    alpha.rates[1].assign([0.0, 3.0, 8.0])
    scalars, histograms = alpha.statistics()
    assert scalars == pytest.approx(
        {
            "alpha_mean/a": 1.0,
            "alpha_negative_share/a": 3 / 9,
            "alpha_mean/b": 0.25,
            "alpha_negative_share/b": 0.0,
        }
    )
    assert list(histograms) == ["alpha/a", "alpha/b"]
    np.testing.assert_array_equal(histograms["alpha/a"], [-2, 0, 1, -1, -0.5, 0.5, 0, 3, 8])
    np.testing.assert_array_equal(histograms["alpha/b"], [0.25] * 4)


def test_each_weight_knows_where_its_rate_began():
    alpha = Alpha("per_layer", weights(), 0.25, initial_values={2: 0.5, 3: 0.5})
    assert alpha.initial_values == [0.25, 0.25, 0.5, 0.5]
    assert [float(rate) for rate in alpha.rates] == [0.25, 0.5]
