"""Dropout in the inner steps of training: it is active, and each step draws its own."""

import keras
import numpy as np
import tensorflow as tf

from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import stream


def test_each_inner_step_of_training_leaves_out_inputs_of_its_own():
    made = MetaLearner(
        keras.Sequential(
            [
                keras.Input((1000,)),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
            ]
        ),
        "mse",
        alpha_init=0.1,
    )
    support = tf.ones([1, 1000]), tf.ones([1, 1])
    once, twice = (
        made.adapt(*support, steps=steps, training=True, seed=stream(0, "train"))[0].numpy()
        for steps in (1, 2)
    )
    # An input that stays is 2, and the output 0: the gradient is 2 · (0 − 1) · 2.
    left_out = once == 0
    np.testing.assert_allclose(once[~left_out], 0.4, rtol=1e-6)
    # Within five standard deviations of binomial counts: √250 and √187.5.
    assert abs(np.sum(left_out) - 500) < 79
    assert abs(np.sum(twice == 0) - 250) < 68
    # Elsewhere nothing is left out, and an input is 1.
    np.testing.assert_allclose(made.adapt(*support, seed=stream(0, "train"))[0], 0.2, rtol=1e-6)
