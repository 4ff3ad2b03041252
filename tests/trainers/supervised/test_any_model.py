"""Models of other shapes: recurrent, of several inputs or outputs, of half precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.evaluation import evaluation
from trainers.supervised.meta_batch import WAYS
from trainers.supervised.meta_trainer import MetaTrainer

layers = keras.layers
RANDOM = np.random.default_rng(0)
LABELS = tf.constant([0, 1, 2] * 4)
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def numbers(*shape):
    return tf.constant(RANDOM.standard_normal(shape), tf.float32)


def episode(inputs, targets=LABELS):
    parts = [
        tf.nest.map_structure(lambda x, part=part: x[part], (inputs, targets))
        for part in (slice(6), slice(6, 12))
    ]
    return Episode(*parts[0], *parts[1])


def trained(model, task, loss=CROSS_ENTROPY):
    """Trains two iterations and evaluates."""
    trainer = MetaTrainer(
        MetaLearner(model, loss, alpha_init=0.05), lambda seed: task, meta_batch_size=2
    )
    scores = trainer.train(2)
    assert np.isfinite(list(scores.values())).all()
    values = evaluation(trainer.learner, lambda number: task, 2)()["loss"]
    assert values.shape == (2, 2) and np.isfinite(values).all()
    return trainer


def recurrent(*made):
    return keras.Sequential([keras.Input((5, 4)), *made, layers.Dense(3)])


def test_recurrent_layers_train_uncompiled():
    assert trained(recurrent(layers.LSTM(4)), episode(numbers(12, 5, 4))).way == WAYS[-1]


def test_masked_sequences_train():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True),
            layers.SimpleRNN(4),
            layers.Dense(3),
        ]
    )
    trained(model, episode(tf.constant(RANDOM.integers(0, 20, (12, 5)), tf.int32)))


def test_inputs_may_be_a_dict_and_are_vectorised():
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(3)(layers.Concatenate()([a, b])))
    assert trained(model, episode({"a": numbers(12, 6), "b": numbers(12, 2)})).way == WAYS[0]


def two_outputs():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, "tanh")(inputs)
    return keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(1)(hidden)])


def test_several_outputs_train_by_a_loss_that_takes_them():
    squared = keras.losses.mean_squared_error
    targets = numbers(12, 1)
    task = episode(numbers(12, 6), {"up": targets, "down": -targets})
    trained(two_outputs(), task, lambda t, o: squared(t["up"], o[0]) + squared(t["down"], o[1]))


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("mse", "'mse'"),
        (keras.losses.mean_squared_error, "'mean_squared_error'"),
        (keras.losses.MeanSquaredError(), "<.*LossFunctionWrapper.*>"),
    ],
)
def test_several_outputs_are_refused_with_a_loss_for_one(loss, name):
    with pytest.raises(InputError, match=f"^loss={name}: .* has 2 outputs and a Keras loss takes"):
        MetaLearner(two_outputs(), loss)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_scored_in_float32(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        regularised = layers.Dense(8, "tanh", kernel_regularizer="l2")
        model = keras.Sequential([keras.Input((6,)), regularised, layers.Dense(3)])
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    task = episode(numbers(12, 6))
    learner = trained(model, task).learner
    outputs = learner.predict(learner.adapt(*task[:2]), task.query_inputs)
    assert outputs.dtype == tf.float32
