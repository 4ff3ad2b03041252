"""What replicas do together; that several processes do is tested with the trainers."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.replicas import mean_of_workers, mean_over_replicas, share, taken_as_they_are


@pytest.fixture
def two():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.mark.parametrize(
    ("context", "step"), [(taken_as_they_are, 0.25), (contextlib.nullcontext, 0.5)]
)
def test_a_gradient_that_all_have_is_summed_by_keras_unless_taken_as_it_is(two, context, step):
    with two.scope():
        optimizer = keras.optimizers.SGD(1.0)
        variable = keras.Variable(1.0)
        optimizer.build([variable])

    @tf.function(autograph=False)
    def update():
        # A tensor of each replica's own: one that they share would not be summed on one machine.
        with context(optimizer):
            two.run(lambda: optimizer.apply([tf.random.uniform([], 0.25, 0.25)], [variable]))

    update()
    np.testing.assert_allclose(variable.numpy(), 1 - step, rtol=1e-6)
    assert "_all_reduce_sum_gradients" not in vars(optimizer)


def test_gradients_are_taken_as_they_are_by_each_optimizer_of_several(two):
    with two.scope():
        by_name = {"a": keras.optimizers.SGD(1.0), "b": keras.optimizers.SGD(2.0)}
        optimizer = keras.optimizers.MultiOptimizer(lambda variable: by_name[variable.name])
        variables = [keras.Variable(1.0, name=name) for name in by_name]
        optimizer.build(variables)

    @tf.function(autograph=False)
    def update():
        with taken_as_they_are(optimizer):
            gradient = tf.random.uniform([], 0.25, 0.25)
            two.run(lambda: optimizer.apply([gradient, tf.identity(gradient)], variables))

    update()
    np.testing.assert_allclose([v.numpy() for v in variables], [0.75, 0.5], rtol=1e-6)
    for each in by_name.values():
        assert "_all_reduce_sum_gradients" not in vars(each)


@pytest.mark.parametrize("replicas", [1, 2])
def test_means_over_replicas_keep_their_structure_shapes_and_dtypes(two, replicas):
    strategy = two if replicas == 2 else tf.distribute.get_strategy()

    def computed(number):
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = tf.cast(own, tf.float32) + number
        return {"b": [own * tf.ones([2, 3]), tf.cast(own, tf.float64)], "a": (own * [1.0, 2.0],)}

    @tf.function(autograph=False)
    def mean(number):
        return mean_over_replicas(strategy, computed, (number,))

    found = mean(tf.constant(4.0))
    middle = 4.5 if replicas == 2 else 4.0
    np.testing.assert_array_equal(found["a"][0], [middle, 2 * middle])
    np.testing.assert_array_equal(found["b"][0], np.full([2, 3], middle))
    assert found["b"][1].dtype == tf.float64 and float(found["b"][1]) == middle


def test_replicas_have_equal_shares(two):
    assert share(two, 6, "tasks") == 3
    assert share(tf.distribute.get_strategy(), 7, "tasks") == 7
    for tasks in (7, 0):
        with pytest.raises(InputError, match=f"tasks={tasks}: should be a .*multiple of the 2"):
            share(two, tasks, "tasks")


def test_the_mean_of_one_worker_is_its_own(two):
    assert mean_of_workers(two, 0.5) == 0.5
