"""An outer step that is made or not by choosing between values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.supervised.outer_step import outer_step

NAN = float("nan")


def left_by(*steps):
    """Returns what steps leave: the variable, Adam's variables and the moving one."""
    variable, moving = tf.Variable([1.0, 2.0]), tf.Variable(0.0)
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([variable])
    for gradient, state, *finite in steps:
        outer_step(optimizer, [variable], [tf.constant(gradient)], [moving], [state], *finite)
    return [tf.convert_to_tensor(one) for one in (variable, *optimizer.variables, moving)]


@pytest.mark.parametrize(
    ("second", "made"),
    [(([0.5, 2.0], 2.0, tf.constant(True)), 2), (([NAN, 2.0], NAN, tf.constant(False)), 1)],
)
def test_a_step_is_made_only_where_all_is_finite(second, made):
    plain = [([1.0, -3.0], 1.0), ([0.5, 2.0], 2.0)]
    chosen = left_by((*plain[0], tf.constant(True)), second)
    for one, other in zip(chosen, left_by(*plain[:made]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_what_no_call_assigns_to_stays_to_the_bit(jit_compile):
    """The mean of seven equal numbers is often another number."""
    dense = keras.layers.Dense(64, trainable=False)
    frozen, free = (keras.layers.BatchNormalization(trainable=kind) for kind in (False, True))
    normal = keras.layers.Normalization(mean=[0.3], variance=[0.7])
    layers = [normal, dense, frozen, free, keras.layers.Dense(1)]
    learner = MetaLearner(keras.Sequential([keras.Input((1,)), *layers]), "mse", alpha_init=0.01)
    frozen.moving_mean.assign(np.linspace(0.1, 0.9, 64))
    stay = [*dense.variables, *frozen.variables, *normal.variables]
    before = [variable.numpy() for variable in stay]
    averages = free.moving_mean.numpy()

    def tasks(seed):
        x = uniform(seed, [6, 1])
        return Episode(x[:3], x[:3], x[3:], x[3:])

    MetaTrainer(learner, tasks, meta_batch_size=7, jit_compile=jit_compile).train(2)
    for old, variable in zip(before, stay, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)
    assert not np.array_equal(free.moving_mean.numpy(), averages)
