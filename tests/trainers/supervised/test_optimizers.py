"""Every optimizer of Keras as the outer one: the same steps as by its own `apply`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners import alpha
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, split_seed, stream, uniform
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

RATE = 0.01
BASES = ("Optimizer",)
OPTIMIZERS = sorted(
    name
    for name, kind in vars(keras.optimizers).items()
    if isinstance(kind, type) and issubclass(kind, keras.Optimizer) and name not in BASES
)
OPTIONS: list[dict[str, Any]] = [
    {"clipnorm": 0.1},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.1},
    {"weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 1},
    {"gradient_accumulation_steps": 2},
]


def optimizer(name, **options):
    if name == "LossScaleOptimizer":
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE, **options))
    if name == "MultiOptimizer":
        kinds = keras.optimizers.SGD, keras.optimizers.Adam
        of_alpha, of_theta = (kind(RATE, **options) for kind in kinds)
        return keras.optimizers.MultiOptimizer(
            lambda variable: of_alpha if "alpha" in variable.path else of_theta
        )
    return getattr(keras.optimizers, name)(RATE, **options)


def task(seed):
    x = uniform(seed, [8, 3])
    y = tf.reduce_sum(x, 1, keepdims=True)
    return Episode(x[:4], y[:4], x[4:], y[4:])


def learner(kind="per_weight"):
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(1, "tanh")
    return MetaLearner(keras.Sequential([keras.Input((3,)), layer]), "mse", alpha=kind)


def assert_steps_are_its_own(made):
    trainer = MetaTrainer(learner(), task, made(), meta_batch_size=1, jit_compile=False)
    trainer.train(2)
    own, by_hand = learner(), made()
    variables = own.meta_variables
    for step in range(2):
        (seed,) = split_seed(fold_in(stream(0, "train"), step), 1)
        values = [tf.convert_to_tensor(variable) for variable in variables]
        by_hand.apply(meta_gradient(own, values, task(seed), seed)[0], variables)
    for a, b in zip(trainer.learner.meta_variables, variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    assert any(
        not np.array_equal(old.numpy(), new.numpy())
        for old, new in zip(learner().meta_variables, trainer.learner.meta_variables, strict=True)
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_makes_its_own_steps(name):
    assert_steps_are_its_own(lambda: optimizer(name))


@pytest.mark.parametrize("options", OPTIONS, ids=[next(iter(given)) for given in OPTIONS])
def test_clipping_decay_averages_and_accumulation_do_what_they_do_elsewhere(options):
    assert_steps_are_its_own(lambda: optimizer("Adam", **options))


@pytest.mark.parametrize("kind", alpha.KINDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_kind_of_alpha_can_be_had_with_it_and_its_options(name, kind):
    for options in ({}, *OPTIONS):
        made, of = optimizer(name, **options), learner(kind)
        MetaTrainer(of, task, made)
        before = [variable.numpy() for variable in of.meta_variables]
        for _ in range(2):
            made.apply([tf.ones_like(variable) for variable in of.meta_variables])
        for old, variable in zip(before, of.meta_variables, strict=True):
            assert np.isfinite(variable.numpy()).all()
            assert not np.array_equal(old, variable.numpy())
