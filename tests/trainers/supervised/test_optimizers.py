"""Every optimizer of Keras as the outer one: the same steps as by its own `apply`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners import alpha
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised.meta_trainer import MetaTrainer

RATE = 0.01
BASES = ("Optimizer", "LossScaleOptimizer")  # The latter is refused.
OPTIMIZERS = sorted(
    name
    for name, kind in vars(keras.optimizers).items()
    if isinstance(kind, type) and issubclass(kind, keras.Optimizer) and name not in BASES
)
FIRST = ("Adam", "MultiOptimizer", "Muon", "SGD", "ScheduleFreeAdamW")
"""Those that differ in kind; the others take as long again."""
OPTIONS: list[dict[str, Any]] = [
    {"clipnorm": 0.1},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.1},
    {"weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 1},
    {"gradient_accumulation_steps": 2},
]
# Of the three ways to clip an optimizer takes one at a time.
TOGETHER = OPTIONS[0] | OPTIONS[3] | OPTIONS[4] | OPTIONS[5]


def optimizer(name, **options):
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


@pytest.fixture(scope="module")
def trainer():
    """A trainer whose gradient is traced once for all optimizers, and the values at its start."""
    made = MetaTrainer(learner(), task, meta_batch_size=1, jit_compile=False)
    made.prepare()
    return made, [tf.convert_to_tensor(variable) for variable in made.learner.meta_variables]


def assert_steps_are_its_own(trainer, made):
    trainer, start = trainer
    variables = trainer.learner.meta_variables

    def begun():
        for variable, value in zip([*variables, trainer.iteration], [*start, 0], strict=True):
            variable.assign(value)
        optimizer = made()
        optimizer.build(variables)
        return optimizer

    by_hand = begun()
    for step in map(tf.constant, np.arange(2)):
        values = [tf.convert_to_tensor(variable) for variable in variables]
        gradient, *_ = trainer._sum_over_tasks(values, trainer._task_seeds(step), step)
        by_hand.apply(gradient, variables)
    expected = [variable.numpy() for variable in variables]
    trainer.optimizer = begun()
    trainer._iterate = tf.function(trainer._trace_iterations, autograph=False)
    trainer.train(2)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)
    assert any(
        not np.array_equal(old.numpy(), new) for old, new in zip(start, expected, strict=True)
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in FIRST else [pytest.mark.slow]) for n in OPTIMIZERS],
)
def test_every_optimizer_makes_its_own_steps(name, trainer):
    assert_steps_are_its_own(trainer, lambda: optimizer(name))


@pytest.mark.parametrize("options", OPTIONS, ids=[next(iter(given)) for given in OPTIONS])
def test_clipping_decay_averages_and_accumulation_do_what_they_do_elsewhere(options, trainer):
    assert_steps_are_its_own(trainer, lambda: optimizer("Adam", **options))


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE)), "LossScaleOptimizer"),
        (keras.optimizers.Adam(RATE, loss_scale_factor=1024.0), "loss_scale_factor"),
    ],
)
def test_an_optimizer_that_divides_by_a_scale_of_the_loss_is_refused(made, cause):
    """Nothing multiplies the loss by it, so that next to nothing would be learned."""
    with pytest.raises(InputError, match=f"^optimizer='.*': {cause} divides gradients"):
        MetaTrainer(learner(), task, made)


def test_an_optimizer_serves_the_trainers_of_one_learner_and_of_no_other():
    made, of = keras.optimizers.Adam(RATE, name="outer"), learner()
    for _ in range(2):
        MetaTrainer(of, task, made)
    with pytest.raises(InputError, match="^optimizer='outer': has been built for other variables"):
        MetaTrainer(learner(), task, made)


@pytest.mark.slow
@pytest.mark.parametrize("kind", alpha.KINDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_kind_of_alpha_can_be_had_with_it_and_its_options(name, kind):
    # A scalar α has a shape of its own; other rates have shapes that weights have too.
    for options in ({}, TOGETHER, *OPTIONS[1:3]) if kind == "scalar" else (TOGETHER,):
        made, of = optimizer(name, **options), learner(kind)
        MetaTrainer(of, task, made)
        before = [variable.numpy() for variable in of.meta_variables]
        for _ in range(2):
            made.apply([tf.ones_like(variable) for variable in of.meta_variables])
        for old, variable in zip(before, of.meta_variables, strict=True):
            assert np.isfinite(variable.numpy()).all()
            assert not np.array_equal(old, variable.numpy())


def test_an_optimizer_may_be_given_by_its_name():
    named, made = (
        MetaTrainer(learner(), task, each, meta_batch_size=2, jit_compile=False)
        for each in ("rmsprop", keras.optimizers.RMSprop())
    )
    for trainer in (named, made):
        trainer.train(2)
    for one, other in zip(named.learner.theta, made.learner.theta, strict=True):
        np.testing.assert_array_equal(one, other)
