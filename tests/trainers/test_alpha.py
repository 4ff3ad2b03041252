"""Which weights share a learned rate, where it starts, and whether it is learned."""

import keras
import numpy as np
import pytest

from trainers.alpha import KINDS, Alpha, draw_initial_value
from trainers.errors import InputError
from trainers.learner import MetaLearner


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
