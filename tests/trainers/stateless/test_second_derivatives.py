"""Second derivatives that TensorFlow lacks, against those worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.stateless.second_derivatives import exact_second_derivatives, linear


def test_the_functions_are_tensorflows_own_outside():
    kept = tf.nn.softsign, tf.nn.moments, tf.image.resize
    with exact_second_derivatives():
        assert tf.nn.softsign is not kept[0]
    assert (tf.nn.softsign, tf.nn.moments, tf.image.resize) == kept


def test_softsigns_derivatives():
    x = tf.constant([-2.0, -0.5, 0.5, 3.0], tf.float64)
    with tf.GradientTape() as outer, tf.GradientTape() as inner, exact_second_derivatives():
        outer.watch(x)
        inner.watch(x)
        y = keras.ops.softsign(x)
    # The outer tape records the inner gradient, as it is still open.
    with outer:
        slope = inner.gradient(y, x)
    size = 1 + np.abs(x)
    np.testing.assert_allclose(y, x / size)
    np.testing.assert_allclose(slope, size**-2)
    np.testing.assert_allclose(outer.gradient(slope, x), -2 * np.sign(x) / size**3)


def test_a_linear_function_is_differentiated_through_its_transpose():
    matrix = np.random.default_rng(0).normal(size=(3, 2))
    a = tf.constant(matrix)
    x, target = tf.constant([[1.0, 2.0, -1.0]], tf.float64), tf.constant([[0.5, -1.0]], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum((linear(lambda x: x @ a, x) - target) ** 4)
        slope = inner.gradient(loss, x)
    missed = x @ matrix - target
    np.testing.assert_allclose(slope, 4 * missed**3 @ matrix.T)
    hessian = matrix @ np.diag(12 * missed[0] ** 2) @ matrix.T
    np.testing.assert_allclose(outer.gradient(slope, x), hessian.sum(0)[None])


@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "lanczos3"])
def test_resizing_twice_differentiated_is_its_matrix(method):
    random = np.random.default_rng(1)
    x = tf.constant(random.normal(size=(2, 4, 5, 1)), tf.float32)
    v = tf.constant(random.normal(size=x.shape), tf.float32)

    def resized(x):
        with exact_second_derivatives():
            return tf.image.resize(x, [7, 3], method)

    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum(resized(x) ** 2)
        slope = inner.gradient(loss, x)
        along = tf.reduce_sum(slope * v)
    # The gradient of Σ (R x)² is 2 Rᵀ R x, linear in x: its product with v is that at v.
    with tf.GradientTape() as tape:
        tape.watch(v)
        at_v = tf.reduce_sum(resized(v) ** 2)
    np.testing.assert_allclose(outer.gradient(along, x), tape.gradient(at_v, v), atol=1e-4)
    np.testing.assert_allclose(resized(x), tf.image.resize(x, [7, 3], method))
