"""Tasks of any shapes and dtypes are trained on, or are refused by name before anything changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised.meta_trainer import MetaTrainer

FEATURES, CLASSES = 3, 2
FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]


@st.composite
def episodes(draw):
    """Draws sizes of the sets, the shape of an example, and the dtypes of inputs and targets."""
    return {
        "support": draw(st.integers(0, 3)),
        "query": draw(st.integers(0, 3)),
        "features": draw(st.sampled_from([(FEATURES,)] * 4 + [(), (FEATURES + 1,), (FEATURES, 1)])),
        "inputs": draw(st.sampled_from([*FLOATS, *INTEGERS, "bool"])),
        "targets": draw(st.sampled_from([*INTEGERS, *INTEGERS, *FLOATS])),
    }


def sampler(drawn):
    """Returns a function from a seed to an episode as drawn."""

    def part(seed, count):
        inputs = 4.0 * uniform(seed, [count, *drawn["features"]])
        targets = tf.range(count) % CLASSES
        return tf.cast(inputs, drawn["inputs"]), tf.cast(targets, drawn["targets"])

    return lambda seed: Episode(*part(seed, drawn["support"]), *part(seed + 1, drawn["query"]))


def meta_train(drawn):
    """Makes an iteration; returns the sentence with which it was refused."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = MetaLearner(model, loss, alpha_init=0.1)
    made = MetaTrainer(learner, sampler(drawn), meta_batch_size=1, jit_compile=False)
    before = [variable.numpy() for variable in learner.meta_variables]
    try:
        scores = made.train(1)
    except (InputError, DivergedError) as error:
        assert str(error) and "Traceback" not in str(error)
        for variable, value in zip(learner.meta_variables, before, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value)
        assert int(made.iteration.numpy()) == 0
        return str(error)
    assert all(np.isfinite(score) for score in scores.values())
    assert drawn["support"] and drawn["query"], "it learned from nothing"
    for variable in learner.meta_variables:
        assert np.all(np.isfinite(variable.numpy()))
    return None


USUAL = {
    "support": 2,
    "query": 2,
    "features": (FEATURES,),
    "inputs": "float32",
    "targets": "int32",
}


def test_the_usual_task_is_trained_on():
    assert meta_train(USUAL) is None


@settings(max_examples=8)
@given(episodes())
@example(USUAL | {"support": 0})
@example(USUAL | {"query": 0})
@example(USUAL | {"inputs": "bfloat16"})
@example(USUAL | {"features": (FEATURES + 1,)})
@example(USUAL | {"features": ()})
def test_any_task_is_trained_on_or_refused(drawn):
    meta_train(drawn)


@pytest.mark.slow
@settings(max_examples=200)
@given(episodes())
def test_two_hundred_tasks_are_trained_on_or_refused(drawn):
    meta_train(drawn)
