"""How work is spread over the machine: threads, compilation, and tasks in parallel."""

import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

TASKS_IN_FLIGHT = 8
"""Tasks in a chunk, which run in parallel; a loop over chunks bounds graph size and memory."""


def sum_in_chunks(work: Callable[[Any], Any], tasks: Any) -> Any:
    """Returns the sum of `work` over chunks of tasks, one chunk after the other.

    Args:
      work: a function from the tensors of some tasks to any nested structure of tensors.
      tasks: any nested structure of tensors [count, ...] of static shapes, such as the seeds of all
        tasks; those of a chunk are [n, ...].
    """
    count = tf.nest.flatten(tasks)[0].shape[0]
    head = (count - 1) % TASKS_IN_FLIGHT + 1
    total = work(tf.nest.map_structure(lambda values: values[:head], tasks))
    if count == head:
        return total

    def chunk_of(values: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        # XLA needs to know the size of a slice, and does not with values[start : start + ...].
        rest = values.shape[1:]
        return tf.slice(values, [start, *[0] * len(rest)], [TASKS_IN_FLIGHT, *rest])

    def add_chunk(start: tf.Tensor, total: Any) -> Any:
        chunk = tf.nest.map_structure(lambda values: chunk_of(values, start), tasks)
        return start + TASKS_IN_FLIGHT, tf.nest.map_structure(tf.add, total, work(chunk))

    return tf.while_loop(
        lambda start, _: start < count, add_chunk, (head, total), parallel_iterations=1
    )[1]


def xla_pays(model: keras.Model) -> bool:
    """Returns whether XLA makes a step of this model faster.

    It does, by an order of magnitude, if most of the time goes into launching small operations. In
    convolutional networks it goes into the convolutions, which XLA takes minutes to compile on a
    CPU and runs no faster. The loop over time of a recurrent layer, differentiated twice, takes XLA
    half a minute to compile and runs a hundred times slower than without it.
    """
    slower = ("keras.src.layers.convolution", "keras.src.layers.rnn")
    return all(
        layer.supports_jit and not type(layer).__module__.startswith(slower)
        for layer in model._flatten_layers()
    )


def use_cores_for_tasks() -> None:
    """Sets TensorFlow's CPU threads for small operations on many tasks at once.

    One thread works on an operation, and as many operations run at once as there are cores:
    splitting a batch of five images over cores costs more than it gains. It must be called before
    TensorFlow runs its first operation.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(cores())


def cores() -> int:
    """Returns how many of the machine's cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def describe() -> str:
    """Returns the devices that TensorFlow computes on: the GPUs' names, or the CPU's cores."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU, {cores()} cores"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return ", ".join(str(detail.get("device_name", "GPU")) for detail in details)
