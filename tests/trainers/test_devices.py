"""Sums over chunks of tasks, and which models XLA is used for."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.conv4 import conv4
from models.memory_network import memory_network
from models.mlp import mlp
from trainers.devices import (
    TASKS_IN_FLIGHT,
    cores,
    sum_in_chunks,
    takes_forms_for_gpus,
    xla_pays,
)


def work(seeds):
    """Any structure of tensors that adds up over tasks."""
    floats = tf.cast(seeds, tf.float64)
    return {"sum": tf.reduce_sum(seeds, axis=0), "squares": [tf.reduce_sum(floats**2)]}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 20])
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
def test_chunks_add_up_to_the_plain_sum(count, compiled):
    numbers = np.random.default_rng(count).integers(-99, 99, [count, 2], dtype=np.int32)
    compute = lambda seeds: sum_in_chunks(work, seeds)  # noqa: E731
    if compiled != "eager":
        compute = tf.function(compute, jit_compile=compiled == "xla")
    total = compute(tf.constant(numbers))
    np.testing.assert_array_equal(total["sum"], numbers.sum(0))
    np.testing.assert_array_equal(total["squares"][0], (numbers.astype(float) ** 2).sum())


@pytest.mark.parametrize("count", [8, 20])
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
def test_tasks_may_be_any_structure_of_tensors_of_any_rank(count, compiled):
    rng = np.random.default_rng(count)
    arrays = [rng.normal(size=[count, *shape]) for shape in ([], [3], [2, 3])]
    tasks = (tf.constant(arrays[0]), {"rows": [tf.constant(values) for values in arrays[1:]]})

    def dot(tasks):
        scale, (vectors, matrices) = tasks[0], tasks[1]["rows"]
        return tf.einsum("n,nj,nij->i", scale, vectors, matrices), tf.reduce_max(scale) * 0 + 1

    compute = lambda tasks: sum_in_chunks(dot, tasks)  # noqa: E731
    if compiled != "eager":
        compute = tf.function(compute, jit_compile=compiled == "xla")
    found, chunks = compute(tasks)
    expected = sum(s * (m @ v) for s, v, m in zip(*arrays, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert chunks == -(-count // TASKS_IN_FLIGHT)


@pytest.mark.parametrize(("count", "chunks"), [(3, 1), (4, 2), (7, 3)])
def test_a_chunk_may_have_another_size(count, chunks):
    work = lambda numbers: (tf.reduce_sum(numbers), tf.constant(1))  # noqa: E731
    total, parts = sum_in_chunks(work, tf.range(count), 3)
    assert (int(total), int(parts)) == (sum(range(count)), chunks)


@pytest.mark.parametrize(("count", "sizes"), [(7, [7]), (8, [8]), (9, [1, 8]), (20, [4, 8])])
def test_a_graph_holds_no_more_than_a_first_and_a_repeated_chunk(count, sizes):
    seen = []

    @tf.function
    def compute(seeds):
        return sum_in_chunks(lambda chunk: seen.append(chunk.shape) or work(chunk), seeds)

    compute.get_concrete_function(tf.TensorSpec([count, 2], tf.int32))
    assert [tuple(shape) for shape in seen] == [(size, 2) for size in sizes]
    assert max(sizes) <= TASKS_IN_FLIGHT


def test_xla_pays_for_a_perceptron_and_not_for_convolutions_or_loops_over_time():
    assert xla_pays(mlp((1,), 1, seed=0))
    assert not xla_pays(memory_network((1,), 1, seed=0, units=2, slots=5, width=2))
    assert not xla_pays(conv4((28, 28, 1), 5, seed=0))


def test_small_networks_keep_the_forms_of_a_cpu(monkeypatch):
    assert not takes_forms_for_gpus(mlp((1,), 1, seed=0))
    assert takes_forms_for_gpus(conv4((28, 28, 1), 5, seed=0))
    monkeypatch.setattr("trainers.devices.on_gpu", lambda: True)
    assert takes_forms_for_gpus(mlp((1,), 1, seed=0))


def test_xla_does_not_pay_where_a_convolution_lies_deep_in_a_model():
    inner = keras.Sequential([keras.Input((8, 1)), keras.layers.Conv1D(2, 3)])
    model = keras.Sequential([keras.Input((8, 1)), inner, keras.layers.Flatten()])
    assert not xla_pays(model)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_only_cores_that_the_process_may_use_count():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)
