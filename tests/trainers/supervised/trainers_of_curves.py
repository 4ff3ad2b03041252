"""Trainers of a small network on curves, and one that need not be traced for every test."""

import functools

import keras
import tensorflow as tf

from metasgd_tf.tasks.sinusoid import Sinusoid
from models.mlp import mlp
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.supervised.pace import Pace

TASKS = Sinusoid(shots=5, queries=5).sampler("train")


def trainer(
    alpha="per_weight",
    alpha_init=0.02,
    optimizer=None,
    model=None,
    tasks=TASKS,
    jit_compile=False,
    **options,
):
    model = model or mlp((1,), 1, seed=0, hidden=(12,), stddev=0.3)
    return MetaTrainer(
        MetaLearner(model, "mse", alpha=alpha, alpha_init=alpha_init),
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
