"""The meta-gradients of a meta-batch: how its tasks are spread over operations and over time.

A meta-batch is done in chunks, which bounds memory. The tasks of a chunk are one batch of each
operation, or each has operations of its own, which the cores of a CPU share.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

import tensorflow as tf

from trainers.batching import batched_operations
from trainers.batching.as_products import as_products
from trainers.devices import (
    TASKS_IN_BATCH,
    TASKS_IN_FLIGHT,
    on_gpu,
    sum_in_chunks,
    takes_forms_for_gpus,
    tasks_at_once,
    xla_pays,
)
from trainers.episodes import Episode, Sampler, examples_of
from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.supervised.meta_gradient import Gradient, mean_meta_gradient, meta_gradient
from trainers.update_rule import Tensors

WAYS = ("compiled, tasks as one batch", "compiled, task by task", "uncompiled")
"""Ways to run iterations, the fastest first for small models."""

BATCHINGS = ("auto", "batched", "side_by_side")
"""Whether the tasks of a meta-batch are one batch of each operation, or each has its operations."""

SumOverTasks: TypeAlias = Callable[[Tensors, tf.Tensor, tf.Tensor], Gradient]
"""A function from values of the meta-trained variables, the tasks' seeds [B, 2] and the number of
the iteration to the sums of the tasks' meta-gradients, scores and new states."""


def refuse_unknown_batching(task_batching: str) -> None:
    """Checks that this is one of `BATCHINGS`.

    Raises:
      InputError: if it is not.
    """
    if task_batching not in BATCHINGS:
        raise InputError(
            f"task_batching={task_batching!r}: should be one of {', '.join(BATCHINGS)}"
        )


@contextlib.contextmanager
def naming_the_other_way(task_batching: str) -> Iterator[None]:
    """Has the refusal of a model that was to be `batched` say what else there is."""
    try:
        yield
    except InputError as error:
        if task_batching != "batched":
            raise
        raise InputError(
            f"task_batching=batched: {error}; task_batching=side_by_side may do it"
        ) from error


def ways_to_run(
    task_batching: str, jit_compile: bool | None, learner: Learner, replicas: int
) -> tuple[str, ...]:
    """Returns the ways to try, the preferred one first.

    Args:
      task_batching: one of `BATCHINGS`.
      jit_compile: whether to compile; where it pays if not given.
      learner: what is trained.
      replicas: on how many devices.

    Raises:
      InputError: for an unknown `task_batching`, or one that `jit_compile` forbids.
    """
    refuse_unknown_batching(task_batching)
    if task_batching == "batched":
        if jit_compile is False:
            raise InputError(
                "task_batching='batched': is a compiled program, and jit_compile=False; should be "
                "'side_by_side' or 'auto'"
            )
        return WAYS[:1]
    if jit_compile is None:
        pays = xla_pays(learner.model) or (on_gpu() and task_batching == "auto")
        jit_compile = replicas == 1 and pays
    ways = WAYS if jit_compile else WAYS[-1:]
    return ways[1:] if jit_compile and task_batching == "side_by_side" else ways


def summed(
    learner: Learner, tasks: tf.types.experimental.PolymorphicFunction, way: str, task_batching: str
) -> SumOverTasks:
    """Returns the function that sums meta-gradients over tasks in one of `WAYS`.

    Args:
      learner: what is trained; its own batches of tasks serve in every way, unless `side_by_side`.
      tasks: a `tf.function` from a seed [2] to an episode.
      way: one of `WAYS`.
      task_batching: one of `BATCHINGS`.
    """
    if learner.batches_tasks and task_batching != "side_by_side":
        chunk, at_once = _in_the_learners_batch(learner, tasks), TASKS_IN_BATCH
    elif way == WAYS[0]:
        chunk, at_once = _vectorised(learner, tasks), _fitting(learner, tasks)
    else:
        chunk, at_once = _task_by_task(learner, tasks), TASKS_IN_FLIGHT
    return lambda values, seeds, step: sum_in_chunks(
        lambda some: chunk(values, some, step), seeds, at_once
    )


def _fitting(learner: Learner, tasks: tf.types.experimental.PolymorphicFunction) -> int:
    """Returns how many tasks a vectorised chunk has."""
    if xla_pays(learner.model):
        return TASKS_IN_FLIGHT
    episode = tasks.get_concrete_function(tf.TensorSpec([2], tf.int32)).structured_outputs
    return tasks_at_once(learner.model, examples_of(episode))


def _task_by_task(learner: Learner, tasks: Sampler) -> SumOverTasks:
    # Inlined, 32 tasks make a graph that takes half a minute to optimise and is no faster.
    task_gradient = tf.function(
        lambda values, seed, step: meta_gradient(learner, values, tasks(seed), seed, step),
        autograph=False,
        experimental_attributes={"_noinline": True},
    )

    def chunk(values: Tensors, seeds: tf.Tensor, step: tf.Tensor) -> Gradient:
        results = [task_gradient(values, seed, step) for seed in tf.unstack(seeds)]
        return tf.nest.map_structure(lambda *values: tf.add_n(values), *results)

    return chunk


def _vectorised(learner: Learner, tasks: Sampler) -> SumOverTasks:
    draw = _drawn_at_once if takes_forms_for_gpus(learner.model) else _drawn

    def chunk(values: Tensors, seeds: tf.Tensor, step: tf.Tensor) -> Gradient:
        batched_operations.register()
        episodes = draw(tasks, seeds)
        with as_products():
            results = tf.vectorized_map(
                lambda task: meta_gradient(learner, values, task[0], task[1], step),
                (episodes, seeds),
                fallback_to_while_loop=False,
            )
        return tf.nest.map_structure(lambda values: tf.reduce_sum(values, axis=0), results)

    return chunk


def _in_the_learners_batch(learner: Learner, tasks: Sampler) -> SumOverTasks:
    def chunk(values: Tensors, seeds: tf.Tensor, step: tf.Tensor) -> Gradient:
        mean = mean_meta_gradient(learner, values, _drawn(tasks, seeds), seeds, step)
        return tf.nest.map_structure(lambda value: value * float(seeds.shape[0]), mean)

    return chunk


def _drawn_at_once(tasks: Sampler, seeds: tf.Tensor) -> Episode:
    """Returns what `_drawn` does, by operations on all tasks where a sampler allows it."""
    try:
        return tf.vectorized_map(tasks, seeds, fallback_to_while_loop=False)
    except (ValueError, NotImplementedError):
        # Whatever the sampler has that cannot be batched.
        return _drawn(tasks, seeds)


def _drawn(tasks: Sampler, seeds: tf.Tensor) -> Episode:
    """Returns the episodes of these seeds, each part [B, ...]."""
    drawn = [tasks(seed) for seed in tf.unstack(seeds)]
    return tf.nest.map_structure(lambda *values: tf.stack(values), *drawn)
