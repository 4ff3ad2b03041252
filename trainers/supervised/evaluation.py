"""Scores of a learner on tasks it has not seen, after each inner step."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from trainers.compiling import compiled_where_possible
from trainers.devices import TASKS_IN_FLIGHT, xla_pays
from trainers.episodes import Episode
from trainers.learners.learner import Learner, State

Scores = dict[str, np.ndarray]


def evaluation(
    learner: Learner,
    episodes: Callable[[tf.Tensor], Episode],
    count: int,
    *,
    steps: int | None = None,
    before: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> Callable[[], Scores]:
    """Prepares an evaluation on `count` tasks; no outer loop is recorded in it.

    Args:
      learner: what is evaluated, as it is when the returned function is called.
      episodes: a function from a task's number (int32) to its episode; not for AutoGraph.
      count: number of tasks.
      steps: inner steps; the learner's own if not given.
      before: a function from a task's number to whether it is scored before adaptation too, which
        takes as long as after it; every one is if not given.

    Returns:
      A function that adapts to each task and scores its query set. For each score of the learner
      it gives [count, steps + 1], float32; column 0 is before adaptation, and not a number where
      `before` says no.
    """
    last = learner.inner_steps if steps is None else steps

    def one_task(number: tf.Tensor) -> dict[str, tf.Tensor]:
        episode = episodes(number)
        support = episode.support_inputs, episode.support_targets

        # Called, not inlined, so that a graph of fifty steps holds what it does once.
        @tf.function(autograph=False, experimental_attributes={"_noinline": True})
        def scores(state: State) -> dict[str, tf.Tensor]:
            given, _ = learner.score(state, episode.query_inputs, episode.query_targets)
            return {name: tf.cast(given[name], tf.float32) for name in learner.scores}

        unadapted, *adapted = learner.adapt_stepwise(*support, last)
        unknown = {name: tf.constant(np.nan, tf.float32) for name in learner.scores}
        if not learner.predicts_unadapted:
            columns = [unknown]
        elif before is None:
            columns = [scores(unadapted)]
        else:
            columns = [tf.cond(before(number), lambda: scores(unadapted), lambda: unknown)]
        columns += [scores(state) for state in adapted]
        return {name: tf.stack([column[name] for column in columns]) for name in learner.scores}

    def all_tasks() -> dict[str, tf.Tensor]:
        return tf.map_fn(
            one_task,
            tf.range(count),
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature={name: tf.float32 for name in learner.scores},
        )

    evaluate = compiled_where_possible(
        all_tasks, learner.model, "evaluation", jit_compile=xla_pays(learner.model)
    )
    return lambda: {name: value.numpy() for name, value in evaluate().items()}


def mean_and_ci95(values: np.ndarray) -> tuple[float, float]:
    """Returns the mean of [n] values and the half-width of its 95 % confidence interval.

    The interval is the normal one, 1.96 s / √n with the sample's standard deviation s.
    """
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
