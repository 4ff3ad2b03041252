"""What the replicas of a `tf.distribute.Strategy` do together; one of them does it alone.

All workers must call what talks to the others together.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from trainers.errors import InputError


@contextlib.contextmanager
def taken_as_they_are(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Keeps an optimizer from summing the gradients that it is given over replicas.

    Keras does so, after clipping them: with n workers it would make its step by n times the mean,
    which Adam alone hardly shows, and clipping would not see it. To divide by n before would be
    right but for clipping, and either way the gradients would go between machines twice.

    Args:
      optimizer: any of Keras's, also one that wraps another one.
    """
    optimizers = [optimizer]
    while hasattr(optimizers[-1], "inner_optimizer"):
        optimizers.append(optimizers[-1].inner_optimizer)
    for each in optimizers:
        each._all_reduce_sum_gradients = list
    try:
        yield
    finally:
        for each in optimizers:
            del each._all_reduce_sum_gradients


def mean_of_workers(strategy: tf.distribute.Strategy, number: float) -> float:
    """Returns the mean of what all workers call this with."""
    each = strategy.run(tf.identity, args=(tf.constant(float(number)),))
    return float(strategy.reduce(tf.distribute.ReduceOp.MEAN, each, axis=None))


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
