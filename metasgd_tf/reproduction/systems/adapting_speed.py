"""How many new tasks a trained learner takes a second: learning each and answering its queries."""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from metasgd_tf.evaluation.trained_runs import LoadedRun
from trainers.compiling import compiled_where_possible
from trainers.devices import TASKS_IN_FLIGHT, xla_pays
from trainers.episodes import Episode
from trainers.seeds import stream
from trainers.task_family import TaskFamily

TASKS = 16
"""Test tasks of one call; as many arrays of images are kept in memory."""

CALLS, SECONDS = 5, 2.0
"""A measurement takes at least so many calls and so long."""


def tasks_per_second(run: LoadedRun, inner_steps: int | None = None) -> float:
    """Measures adapting and predicting, with as many tasks at a time as `evaluate` has.

    The tasks are those of the evaluation with the shots of training, and drawn before. The first
    call, which compiles, does not count; the median of the others does.

    Args:
      run: a trained run of supervised tasks.
      inner_steps: updates on a task; the learner's own if not given.
    """
    answer = compiled_where_possible(
        adapting(run, inner_steps),
        run.learner.model,
        "adapting",
        jit_compile=xla_pays(run.learner.model),
    )
    return TASKS / median_seconds(lambda: answer().numpy())


def adapting(run: LoadedRun, inner_steps: int | None = None) -> Callable[[], tf.Tensor]:
    """Returns a function that learns `TASKS` test tasks and predicts their queries.

    Args:
      run: a trained run of supervised tasks.
      inner_steps: updates on a task; the learner's own if not given.

    Returns:
      A function that gives the outputs [TASKS, M, ...], float32.
    """
    episodes = _episodes(run)

    def one_task(number: tf.Tensor) -> tf.Tensor:
        episode = tf.nest.map_structure(lambda values: values[number], episodes)
        state = run.learner.adapt(
            episode.support_inputs, episode.support_targets, steps=inner_steps
        )
        return tf.cast(run.learner.predict(state, episode.query_inputs), tf.float32)

    return lambda: tf.map_fn(
        one_task,
        tf.range(TASKS),
        parallel_iterations=TASKS_IN_FLIGHT,
        fn_output_signature=tf.float32,
    )


def _episodes(run: LoadedRun) -> Episode:
    family = run.family
    assert isinstance(family, TaskFamily)
    (protocol,) = (one for one in family.protocols(None) if one.shots == run.settings.shots)
    seed, repeat = stream(0, "test"), tf.constant(0)
    drawn = [
        family.evaluation_episode(seed, "test", protocol, tf.constant(task), repeat)
        for task in range(TASKS)
    ]
    return tf.nest.map_structure(lambda *values: tf.stack(values), *drawn)


def median_seconds(
    call: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Returns the median time of a call, after one that does not count.

    Args:
      call: what is measured; it should return when all is computed.
      clock: gives seconds.
    """
    call()
    took: list[float] = []
    while len(took) < CALLS or sum(took) < SECONDS:
        start = clock()
        call()
        took.append(clock() - start)
    return float(np.median(took))
