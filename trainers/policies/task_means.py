"""Means over the tasks of a meta-batch, which the replicas of a strategy share."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainers.devices import sum_in_chunks
from trainers.policies.experience import Experience
from trainers.replicas import mean_over_replicas


def mean_over_tasks(
    work: Callable[..., Any], strategy: tf.distribute.Strategy
) -> Callable[..., Any]:
    """Returns a function to the mean of `work` over all tasks, which traces it but once.

    Args:
      work: a function of one task's examples and of whatever the tasks share.
      strategy: whose replicas share the tasks, equally.

    Returns:
      A function of the examples of all tasks and of the rest, to be called in a `tf.function`.
    """
    function = tf.function(
        lambda task, *rest: work(Experience(*task), *rest),
        autograph=False,
        experimental_attributes={"_noinline": True},
    )

    def chunk_with(rest: tuple[Any, ...]) -> Callable[[Experience], Any]:
        def chunk(tasks: Experience) -> Any:
            results = [
                function(tuple(values[number] for values in tasks), *rest)
                for number in range(tasks.query_mask.shape[0])
            ]
            return tf.nest.map_structure(lambda *values: tf.add_n(values), *results)

        return chunk

    def mean_of_own(experience: Experience, *rest: Any) -> Any:
        own = _own_tasks(experience)
        total = sum_in_chunks(chunk_with(rest), own)
        return tf.nest.map_structure(lambda value: value / own.query_mask.shape[0], total)

    def mean(*given: Any) -> Any:
        return mean_over_replicas(strategy, mean_of_own, given)

    return mean


def _own_tasks(experience: Experience) -> Experience:
    """Returns the tasks of the replica that calls this."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return experience
    count = experience.query_mask.shape[0] // replica.num_replicas_in_sync
    first = replica.replica_id_in_sync_group * count

    def own(values: tf.Tensor) -> tf.Tensor:
        rest = values.shape[1:]
        return tf.slice(values, [first, *[0] * len(rest)], [count, *rest])

    return tf.nest.map_structure(own, experience)
