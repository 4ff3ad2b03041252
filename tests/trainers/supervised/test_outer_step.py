"""An outer step that is made or not by choosing between values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
