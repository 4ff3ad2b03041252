"""What the replicas of a `tf.distribute.Strategy` do together; one of them does it alone.

All workers must call what talks to the others together.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainers.errors import InputError


@contextlib.contextmanager
def taken_as_they_are(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Keeps an optimizer from summing the gradients that it is given over replicas.

    Keras does so, after clipping them: with n workers it would make its step by n times the mean,
    which Adam alone hardly shows, and clipping would not see it. To divide by n before would be
    right but for clipping, and either way the gradients would go between machines twice.

    Args:
      optimizer: any of Keras's, also one that wraps others.
    """
    optimizers = every_optimizer(optimizer)
    for each in optimizers:
        each._all_reduce_sum_gradients = list
    try:
        yield
    finally:
        for each in optimizers:
            del each._all_reduce_sum_gradients


def every_optimizer(
    optimizer: keras.optimizers.Optimizer,
) -> list[keras.optimizers.Optimizer]:
    """Returns an optimizer and those that it wraps, such as a `MultiOptimizer` its own."""
    wrapped = list(getattr(optimizer, "optimizers", []))
    if hasattr(optimizer, "inner_optimizer"):
        wrapped.append(optimizer.inner_optimizer)
    return [optimizer, *(one for inner in wrapped for one in every_optimizer(inner))]


def mean_of_workers(strategy: tf.distribute.Strategy, number: float) -> float:
    """Returns the mean of what all workers call this with."""
    each = strategy.run(tf.identity, args=(tf.constant(float(number)),))
    return float(strategy.reduce(tf.distribute.ReduceOp.MEAN, each, axis=None))


def mean_over_replicas(
    strategy: tf.distribute.Strategy, function: Callable[..., Any], args: tuple[Any, ...]
) -> Any:
    """Returns the means over the replicas of the tensors that each computes.

    Of each dtype one vector goes between them: on CPUs, a collective takes as long to begin as to
    send the gradients of a small network.

    Args:
      strategy: whose replicas compute.
      function: from `args` to a structure of tensors, whose shapes are known when it is traced.
      args: what each replica is given.
    """
    mean = tf.distribute.ReduceOp.MEAN
    if strategy.num_replicas_in_sync == 1:
        one = strategy.run(function, args=args)
        return tf.nest.map_structure(lambda value: strategy.reduce(mean, value, axis=None), one)
    structures = []

    def packed(*given: Any) -> dict[str, tf.Tensor]:
        structures.append(function(*given))
        vectors: dict[str, list[tf.Tensor]] = {}
        for value in tf.nest.flatten(structures[-1]):
            vectors.setdefault(value.dtype.name, []).append(tf.reshape(value, [-1]))
        return {name: tf.concat(values, axis=0) for name, values in vectors.items()}

    of_replicas = strategy.run(packed, args=args)
    flat = tf.nest.flatten(structures[-1])
    parts = {}
    for name in sorted(of_replicas):  # All workers in the same order.
        sizes = [value.shape.num_elements() for value in flat if value.dtype.name == name]
        parts[name] = iter(tf.split(strategy.reduce(mean, of_replicas[name], axis=None), sizes))
    means = [tf.reshape(next(parts[value.dtype.name]), value.shape) for value in flat]
    return tf.nest.pack_sequence_as(structures[-1], means)


def share(strategy: tf.distribute.Strategy, tasks: int, name: str) -> int:
    """Returns how many tasks of a meta-batch each replica does.

    Args:
      strategy: whose replicas share them.
      tasks: how many there are.
      name: what the caller calls that.

    Raises:
      InputError: if they cannot be shared equally.
    """
    replicas = strategy.num_replicas_in_sync
    if tasks < 1 or tasks % replicas:
        raise InputError(
            f"{name}={tasks}: should be a positive multiple of the {replicas} replica(s)"
        )
    return tasks // replicas


def sharing(
    strategy: tf.distribute.Strategy,
    chunk: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    count: int,
) -> Callable[[], list[dict[str, np.ndarray]]]:
    """Prepares doing numbered chunks of work, each on one replica, as many at a time as there are.

    Args:
      strategy: whose replicas share them.
      chunk: a function, not for AutoGraph, from a chunk's number (int32) to tensors [size, ...], by
        names and with sizes that all chunks have in common.
      count: how many chunks there are.

    Returns:
      A function that returns the tensors of all chunks, in order and on every worker.
    """
    replicas = strategy.num_replicas_in_sync

    def of_replica(first: tf.Tensor) -> dict[str, tf.Tensor]:
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Those that find nothing left do the last one, too, as all have to take part.
        return chunk(tf.minimum(first + own, count - 1))

    @tf.function(autograph=False)
    def at_once(first: tf.Tensor) -> dict[str, tf.Tensor]:
        return strategy.run(of_replica, args=(first,))

    def run() -> list[dict[str, np.ndarray]]:
        if replicas == 1:
            return [_numpy(chunk(tf.constant(number))) for number in range(count)]
        done = []
        for first in range(0, count, replicas):
            each = at_once(tf.constant(first))
            parts = {name: _of_replicas(strategy, each[name]) for name in sorted(each)}
            done += [{name: parts[name][n] for name in parts} for n in range(replicas)]
        return done[:count]

    return run


def _of_replicas(strategy: tf.distribute.Strategy, each: tf.Tensor) -> list[np.ndarray]:
    """Returns the tensors [size, ...] of all replicas, also of those in other processes."""
    own = strategy.experimental_local_results(each)
    replicas = strategy.num_replicas_in_sync
    if len(own) == replicas:
        return [value.numpy() for value in own]
    return np.split(strategy.gather(each, axis=0).numpy(), replicas)


def _numpy(tensors: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in tensors.items()}
