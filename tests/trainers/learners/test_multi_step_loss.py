"""The weights of the losses after each step, and the branch that leaves these losses out."""

import numpy as np
import pytest
import tensorflow as tf

from trainers.learners.multi_step_loss import if_true, loss_weights


@pytest.mark.parametrize(
    ("steps", "iteration", "annealing", "expected"),
    [
        (5, 0, 10, [0.2, 0.2, 0.2, 0.2, 0.2]),
        (5, 5, 10, [0.1, 0.1, 0.1, 0.1, 0.6]),
        (5, 9, 10, [0.02, 0.02, 0.02, 0.02, 0.92]),
        (5, 99, 100, [0.006, 0.006, 0.006, 0.006, 0.976]),
        (5, 100, 100, [0, 0, 0, 0, 1]),
        (5, 10**9, 100, [0, 0, 0, 0, 1]),
        (2, 1, 4, [0.375, 0.625]),
        (1, 3, 4, [1]),
    ],
)
def test_the_losses_weights_move_to_the_last_step(steps, iteration, annealing, expected):
    found = loss_weights(steps, tf.constant(iteration, tf.int64), annealing)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("condition", [True, False])
def test_a_branch_has_its_value_and_slope_or_none(condition, compiled):
    def loss(at):
        (table, bias), (scale,) = at
        return tf.reduce_sum(scale * tf.gather(table, [2, 0, 2])) + bias**2

    @tf.function(jit_compile=compiled, autograph=False)
    def both(condition, factor):
        with tf.GradientTape() as tape:
            tape.watch(factor)
            at = [[factor * tf.constant([1.0, 2.0, 3.0]), 2.0 * factor], [tf.constant(5.0)]]
            value = 10.0 * if_true(condition, loss, at)
        return value, tape.gradient(value, factor)

    # 10 (5 (3 + 1 + 3) x + 4 x²) at x = 2, and its derivative.
    expected = (860.0, 510.0) if condition else (0.0, 0.0)
    np.testing.assert_allclose(both(tf.constant(condition), tf.constant(2.0)), expected)
