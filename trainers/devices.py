"""How work is spread over the machine: threads, compilation, and tasks in parallel."""

import math
import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

TASKS_IN_FLIGHT = 8
"""Tasks in a chunk, which run in parallel; a loop over chunks bounds graph size and memory."""

TASKS_IN_BATCH = 16
"""Tasks in a chunk where all tasks of it are one batch, for learners that take them so."""

BATCH_BYTES = 8 * 2**30
"""Memory that the tasks of one batch may take, as `tasks_at_once` counts it.

A meta-batch of MiniImagenet fits: in two chunks it was 954 kernels an iteration, in one it is 598.
"""

COPIES = 2
"""How often the patches and outputs of a layer are held while a task's meta-gradient is taken.

By what XLA's programs for a CPU hold at once it is 0.8 to 1.3 times (`benchmarks.program`); the
rest is for what a device's own allocation adds.
"""


def sum_in_chunks(work: Callable[[Any], Any], tasks: Any, at_once: int = TASKS_IN_FLIGHT) -> Any:
    """Returns the sum of `work` over chunks of tasks, one chunk after the other.

    Args:
      work: a function from the tensors of some tasks to any nested structure of tensors.
      tasks: any nested structure of tensors [count, ...] of static shapes, such as the seeds of all
        tasks; those of a chunk are [n, ...].
      at_once: tasks of a chunk.
    """
    count = tf.nest.flatten(tasks)[0].shape[0]
    head = (count - 1) % at_once + 1
    total = work(tf.nest.map_structure(lambda values: values[:head], tasks))
    if count == head:
        return total

    def chunk_of(values: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        # XLA needs to know the size of a slice, and does not with values[start : start + ...].
        rest = values.shape[1:]
        return tf.slice(values, [start, *[0] * len(rest)], [at_once, *rest])

    def add_chunk(start: tf.Tensor, total: Any) -> Any:
        chunk = tf.nest.map_structure(lambda values: chunk_of(values, start), tasks)
        return start + at_once, tf.nest.map_structure(tf.add, total, work(chunk))

    return tf.while_loop(
        lambda start, _: start < count, add_chunk, (head, total), parallel_iterations=1
    )[1]


def xla_pays(model: keras.Model) -> bool:
    """Returns whether XLA makes a step of this model faster.

    It does, by an order of magnitude, if most of the time goes into launching small operations. In
    convolutional networks it goes into the convolutions, which XLA takes minutes to compile on a
    CPU and runs no faster. The loop over time of a recurrent layer, differentiated twice, takes XLA
    half a minute to compile and runs a hundred times slower than without it; differentiated once it
    compiles for seconds and gains less than a fifth.
    """
    slower = ("keras.src.layers.convolution", "keras.src.layers.rnn")
    return all(
        layer.supports_jit and not type(layer).__module__.startswith(slower)
        for layer in model._flatten_layers()
    )


def takes_forms_for_gpus(model: keras.Model) -> bool:
    """Returns whether iterations are compiled in the forms that a GPU needs.

    In these the episodes of a batch are drawn at once, and the outer step has no branch around it;
    XLA fuses both with what is beside them, which rounds otherwise. Small networks gain nothing by
    it on a CPU, and keep the numbers that they had.
    """
    return on_gpu() or not xla_pays(model)


def tasks_at_once(model: keras.Model, examples: int) -> int:
    """Returns how many tasks fit into one batch: `BATCH_BYTES` over a task's bytes, at least 1.

    A task takes about 4 bytes × `COPIES` × examples × the numbers of all layers, where a layer's
    numbers are its outputs and, of a convolution, its patches: kernel entries × channels × outputs
    without their channels.

    Args:
      model: a built model; layers of unknown output shapes count as nothing.
      examples: support and query examples of a task.
    """
    numbers = 0
    for layer in model._flatten_layers(include_self=False):
        try:
            shape = layer.output.shape[1:]
        except (AttributeError, ValueError):
            continue
        if None in shape:
            continue
        numbers += math.prod(shape)
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(shape) > 1:
            numbers += math.prod(shape[:-1]) * math.prod(kernel.shape[:-1])
    return max(1, BATCH_BYTES // (4 * COPIES * examples * max(numbers, 1)))


def on_gpu() -> bool:
    """Returns whether TensorFlow computes on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


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
