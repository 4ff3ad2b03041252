"""All tasks as one batch against one task after the other, for every network of this project."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.batching_agreement import NETWORKS, WAYS, both_ways, difference, squared
from models import conv4, mlp, resnet12
from trainers.devices import tasks_at_once
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised import meta_batch
from trainers.supervised.meta_trainer import MetaTrainer

QUICK = {"conv4": (conv4, "MODULES", 2), "resnet12": (resnet12, "WIDTHS", (2,))}
"""What makes networks with fewer of the parts that are alike."""


def small_network(dropout=0.0):
    """A network whose parts are one of each kind that the others are made of."""
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(
                3, 3, strides=2, padding="same", use_bias=False, kernel_regularizer="l2"
            ),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("softplus"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(WAYS),
        ]
    )


def assert_both_ways_agree(model, tolerance=1e-4, alpha=0.02, **options):
    learner = MetaLearner(model, squared, alpha_init=alpha, **options)
    for expected, made in both_ways(learner):
        assert difference(expected, made) < tolerance
        for there, here in zip(expected, made, strict=True):
            assert float(tf.norm(there - here)) < tolerance * (float(tf.norm(there)) + 1e-2)


def shortened(name, monkeypatch):
    for start, change in QUICK.items():
        if name.startswith(start):
            monkeypatch.setattr(*change)
    return NETWORKS[name]()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "conv4_pooled" else name
        for name in NETWORKS
        if name != "resnet12"
    ],
)
def test_both_ways_agree_for_every_network(name, monkeypatch):
    options = {"batch_norm": "support", "first_order": True} if name == "conv4" else {}
    assert_both_ways_agree(shortened(name, monkeypatch), **options)


@pytest.mark.slow
def test_both_ways_agree_for_resnet12(monkeypatch):
    # In float32 some of its many maxima are taken elsewhere after another rounding. All that it is
    # made of has its second derivative in the others, and it is large to trace.
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model = shortened("resnet12", monkeypatch)
        assert_both_ways_agree(model, tolerance=1e-10, alpha=1e-6, first_order=True)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def test_both_ways_agree_with_dropout_regularisers_and_several_steps():
    assert_both_ways_agree(small_network(dropout=0.3), batch_norm="support", inner_steps=2)


def trainer(**options):
    accuracy = keras.metrics.sparse_categorical_accuracy
    learner = MetaLearner(small_network(), squared, metrics={"accuracy": accuracy}, alpha_init=0.05)

    def task(seed):
        drawn = uniform(seed, [2, WAYS * 2, 6, 6, 2])
        targets = tf.tile(tf.range(WAYS), [2])
        return Episode(drawn[0], targets, drawn[1], targets)

    return MetaTrainer(learner, task, meta_batch_size=4, seed=7, **options)


def test_training_is_the_same_in_both_ways():
    batched, beside = trainer(task_batching="batched"), trainer(task_batching="side_by_side")
    scores = [made.train(3) for made in (batched, beside)]
    assert (batched.way, beside.way) == (meta_batch.WAYS[0], meta_batch.WAYS[-1])
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    for one, other in zip(batched.learner.theta, beside.learner.theta, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-4)


def test_what_cannot_be_batched_is_refused():
    with pytest.raises(InputError, match="task_batching='whole': should be one of auto, batched"):
        trainer(task_batching="whole")
    with pytest.raises(InputError, match="jit_compile=False; should be 'side_by_side' or 'auto'"):
        trainer(task_batching="batched", jit_compile=False)


def test_memory_bounds_the_tasks_of_a_batch():
    model = keras.Sequential(
        [
            keras.Input((10, 10, 2)),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.Flatten(),
        ]
    )
    # 200 inputs, 400 outputs and 100 windows of 18 numbers, and 400 again; twice, 4 bytes each.
    numbers = 200 + 400 + 100 * 18 + 400
    assert tasks_at_once(model, 50) == 8 * 2**30 // (4 * 2 * 50 * numbers)
    assert tasks_at_once(model, 10**9) == 1


@pytest.mark.parametrize(("gpu", "calls"), [(False, 3), (True, 1)])
def test_episodes_of_small_networks_are_drawn_one_by_one_on_a_cpu(monkeypatch, gpu, calls):
    """Drawn at once XLA rounds them otherwise, and 60,000 iterations make other results of it."""
    monkeypatch.setattr("trainers.devices.on_gpu", lambda: gpu)
    drawn = []

    def tasks(seed):
        drawn.append(seed)
        inputs = uniform(seed, [4, 1])
        return Episode(inputs[:2], inputs[:2], inputs[2:], inputs[2:])

    learner = MetaLearner(mlp.mlp((1,), 1, seed=0, hidden=(2,)), "mse", alpha_init=0.02)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    total = meta_batch.summed(learner, tasks, meta_batch.WAYS[0], "auto")
    total(values, tf.constant([[1, 2], [3, 4], [5, 6]]), tf.constant(0, tf.int64))
    assert len(drawn) == calls
