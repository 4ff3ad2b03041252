"""Patches against loops over windows, and that adding up is their transpose."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from trainers.batching import patches

SHAPES = [((7,), (3,)), ((6, 5), (3, 2)), ((4, 5, 3), (2, 3, 1))]
SETTINGS = list(itertools.product(("SAME", "VALID"), ((1, 1), (2, 1), (3, 1), (1, 2), (2, 2))))


def at(sizes, kernel, padding, stride, dilation):
    rank = len(sizes)
    return patches.windows(sizes, kernel, [stride] * rank, [dilation] * rank, padding)


def by_loops(x, where):
    """Takes windows one entry at a time."""
    taken = np.zeros([len(x), *where.counts, where.entries, x.shape[-1]])
    entries = list(itertools.product(*map(range, where.kernel)))
    for place in itertools.product(*map(range, where.counts)):
        for number, entry in enumerate(entries):
            parts = zip(place, where.strides, entry, where.dilations, where.before, strict=True)
            source = [p * s + e * d - b for p, s, e, d, b in parts]
            if all(0 <= i < n for i, n in zip(source, where.sizes, strict=True)):
                taken[(slice(None), *place, number)] = x[(slice(None), *source)]
    return taken


@pytest.mark.parametrize(("sizes", "kernel"), SHAPES)
def test_windows_are_taken_as_by_loops(sizes, kernel):
    x = np.random.default_rng(0).normal(size=(2, *sizes, 3))
    for padding, (stride, dilation) in SETTINGS:
        where = at(sizes, kernel, padding, stride, dilation)
        if min(where.counts) < 1:
            continue
        np.testing.assert_array_equal(patches.take(tf.constant(x), where), by_loops(x, where))


@pytest.mark.parametrize(("sizes", "kernel"), SHAPES)
def test_adding_up_is_the_transpose_of_taking(sizes, kernel):
    random = np.random.default_rng(1)
    for padding, (stride, dilation) in SETTINGS:
        where = at(sizes, kernel, padding, stride, dilation)
        if min(where.counts) < 1:
            continue
        x = tf.constant(random.normal(size=(2, *sizes, 3)))
        y = tf.constant(random.normal(size=(2, *where.counts, where.entries, 3)))
        one = tf.reduce_sum(patches.take(x, where) * y)
        other = tf.reduce_sum(x * patches.add_up(y, where))
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_same_padding_is_tensorflows():
    where = at((7, 6), (3, 3), "SAME", 2, 1)
    assert (where.counts, where.before) == ((4, 3), (1, 0))


@pytest.mark.parametrize("function", [patches.take, patches.add_up])
def test_both_can_be_differentiated_three_times(function):
    where = at((5,), (3,), "SAME", 2, 1)
    shape = (1, 5, 1) if function is patches.take else (1, 3, 3, 1)
    x = tf.constant(np.random.default_rng(2).normal(size=shape))
    with tf.GradientTape() as third:
        third.watch(x)
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                value = tf.reduce_sum(function(x, where) ** 3)
            slope = tf.reduce_sum(first.gradient(value, x) ** 2)
        bend = tf.reduce_sum(second.gradient(slope, x) ** 2)
    gradient = third.gradient(bend, x).numpy()

    def bend_at(moved):
        jacobian = _matrix(function, where, shape)
        y = jacobian @ moved.reshape(-1)
        inner = 3 * jacobian.T @ y**2
        return np.sum((2 * (jacobian.T @ (6 * y * (jacobian @ inner)))) ** 2)

    np.testing.assert_allclose(bend_at(x.numpy()), bend, rtol=1e-10)
    along = np.random.default_rng(3).normal(size=shape)
    step = 1e-6
    up, down = bend_at(x.numpy() + step * along), bend_at(x.numpy() - step * along)
    np.testing.assert_allclose(np.sum(gradient * along), (up - down) / (2 * step), rtol=1e-5)


def _matrix(function, where, shape):
    size = int(np.prod(shape))
    units = np.eye(size).reshape(size, *shape)
    return np.stack([function(tf.constant(u), where).numpy().reshape(-1) for u in units], axis=1)
