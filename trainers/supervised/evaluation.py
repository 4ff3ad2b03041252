"""Scores of a learner on tasks it has not seen, after each inner step."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from trainers.batching import batched_operations
from trainers.batching.as_products import as_products
from trainers.compiling import compiled_where_possible, first_that_works
from trainers.devices import TASKS_IN_FLIGHT, on_gpu, tasks_at_once, xla_pays
from trainers.episodes import Episode, examples_of
from trainers.learners.learner import Learner, State
from trainers.replicas import sharing
from trainers.supervised.meta_batch import naming_the_other_way, refuse_unknown_batching

Scores = dict[str, np.ndarray]


def evaluation(
    learner: Learner,
    episodes: Callable[[tf.Tensor], Episode],
    count: int,
    *,
    steps: int | None = None,
    before: Callable[[tf.Tensor], tf.Tensor] | None = None,
    block: int | None = None,
    task_batching: str = "auto",
) -> Callable[[], Scores]:
    """Prepares an evaluation on `count` tasks; no outer loop is recorded in it.

    Called in the scope of a `tf.distribute.Strategy` in which the learner was made, its replicas
    share the tasks, and all workers get the scores of all of them. They then run without XLA unless
    tasks are batched.

    Args:
      learner: what is evaluated, as it is when the returned function is called.
      episodes: a function from a task's number (int32) to its episode; not for AutoGraph.
      count: number of tasks.
      steps: inner steps; the learner's own if not given.
      before: a function from a task's number to whether it is scored before adaptation too, which
        takes as long as after it; every one is if not given.
      block: how many numbers, one after the other from 0, have episodes of one size; all of them
        if not given.
      task_batching: one of `meta_batch.BATCHINGS`. `batched` compiles one program in which each
        operation is done for as many tasks at once as fit, see `devices.tasks_at_once`, and
        `side_by_side` gives each task operations of its own; `auto` takes `batched` on a GPU.

    Returns:
      A function that adapts to each task and scores its query set. For each score of the learner
      it gives [count, steps + 1], float32; column 0 is before adaptation, and not a number where
      `before` says no.

    Raises:
      InputError: for an unknown `task_batching`. The function raises it where `batched` is asked
        for and the model cannot be batched.
    """
    refuse_unknown_batching(task_batching)
    last = learner.inner_steps if steps is None else steps

    strategy = tf.distribute.get_strategy()
    beside = _side_by_side(learner, episodes, count, last, before, strategy)
    if task_batching == "side_by_side" or (task_batching == "auto" and not on_gpu()):
        return beside
    batched = _batched(learner, episodes, count, last, before, block or count, strategy)
    ways = {"compiled, all tasks as one batch": batched}
    if task_batching == "auto":
        ways["task by task"] = beside
    chosen: list[Callable[[], Scores]] = []

    def run() -> Scores:
        if chosen:
            return chosen[0]()
        with naming_the_other_way(task_batching):
            name, scores = first_that_works(ways, learner.model, "evaluation")
        chosen.append(ways[name])
        return scores

    return run


def _columns(
    learner: Learner,
    episode: Episode,
    steps: int,
    scored: Callable[[State], dict[str, tf.Tensor]],
    unadapted: Callable[[Callable[[], dict[str, tf.Tensor]]], dict[str, tf.Tensor]],
) -> dict[str, tf.Tensor]:
    """Adapts to a task, and returns its scores [steps + 1].

    Args:
      learner: what is evaluated.
      episode: the task.
      steps: inner steps.
      scored: a function from a state to the scores on the query set.
      unadapted: a function that calls another, which gives the scores before adaptation, or not.
    """
    first, *adapted = learner.adapt_stepwise(episode.support_inputs, episode.support_targets, steps)
    columns = [
        unadapted(lambda: scored(first)) if learner.predicts_unadapted else _unknown(learner)
    ]
    columns += [scored(state) for state in adapted]
    return {name: tf.stack([column[name] for column in columns]) for name in learner.scores}


def _unknown(learner: Learner) -> dict[str, tf.Tensor]:
    return {name: tf.constant(np.nan, tf.float32) for name in learner.scores}


def _query_scores(learner: Learner, state: State, episode: Episode) -> dict[str, tf.Tensor]:
    given, _ = learner.score(state, episode.query_inputs, episode.query_targets)
    return {name: tf.cast(given[name], tf.float32) for name in learner.scores}


def _side_by_side(
    learner: Learner,
    episodes: Callable[[tf.Tensor], Episode],
    count: int,
    steps: int,
    before: Callable[[tf.Tensor], tf.Tensor] | None,
    strategy: tf.distribute.Strategy,
) -> Callable[[], Scores]:
    def one_task(number: tf.Tensor) -> dict[str, tf.Tensor]:
        episode = episodes(number)

        # Called, not inlined, so that a graph of fifty steps holds what it does once.
        @tf.function(autograph=False, experimental_attributes={"_noinline": True})
        def scored(state: State) -> dict[str, tf.Tensor]:
            return _query_scores(learner, state, episode)

        def unadapted(scores: Callable[[], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
            if before is None:
                return scores()
            return tf.cond(before(number), scores, lambda: _unknown(learner))

        return _columns(learner, episode, steps, scored, unadapted)

    def tasks(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.map_fn(
            one_task,
            numbers,
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature={name: tf.float32 for name in learner.scores},
        )

    replicas = strategy.num_replicas_in_sync
    if replicas > 1:
        size = -(-count // replicas)
        own = tf.range(size)
        shared = sharing(strategy, lambda n: tasks(tf.minimum(n * size + own, count - 1)), replicas)
        return lambda: _joined(shared(), [size] * replicas, count)
    evaluate = compiled_where_possible(
        lambda: tasks(tf.range(count)),
        learner.model,
        "evaluation",
        jit_compile=xla_pays(learner.model),
    )
    return lambda: {name: value.numpy() for name, value in evaluate().items()}


def _batched(
    learner: Learner,
    episodes: Callable[[tf.Tensor], Episode],
    count: int,
    steps: int,
    before: Callable[[tf.Tensor], tf.Tensor] | None,
    block: int,
    strategy: tf.distribute.Strategy,
) -> Callable[[], Scores]:
    drawn = tf.function(episodes, autograph=False)

    # Not compiled: XLA has no gather of images that would be worth another copy of all of them.
    @tf.function(autograph=False)
    def draw(numbers: tf.Tensor) -> Episode:
        specs = drawn.get_concrete_function(tf.TensorSpec([], tf.int32)).structured_outputs
        return tf.map_fn(
            drawn,
            numbers,
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature=tf.nest.map_structure(tf.TensorSpec.from_tensor, specs),
        )

    def one_task(task: tuple[Episode, tf.Tensor]) -> dict[str, tf.Tensor]:
        episode, number = task

        def unadapted(scores: Callable[[], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
            if before is None:
                return scores()
            asked = before(number)
            return {name: tf.where(asked, value, np.nan) for name, value in scores().items()}

        return _columns(
            learner, episode, steps, lambda state: _query_scores(learner, state, episode), unadapted
        )

    @tf.function(autograph=False, jit_compile=True)
    def scores_of(tasks: Episode, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        batched_operations.register()
        with as_products():
            return tf.vectorized_map(one_task, (tasks, numbers), fallback_to_while_loop=False)

    def run() -> Scores:
        at_once = tasks_at_once(learner.model, examples_of(drawn(tf.constant(0))))
        size = -(-block // -(-block // at_once))
        bounds = [
            (first, min(first + size, start + block, count))
            for start in range(0, count, block)
            for first in range(start, min(start + block, count), size)
        ]

        def chunk(number: tf.Tensor) -> dict[str, tf.Tensor]:
            first, end = tf.unstack(tf.constant(bounds)[number])
            # The last of a block is filled up, as one of another size would be compiled anew.
            numbers = tf.minimum(first + tf.range(size), end - 1)
            return scores_of(draw(numbers), numbers)

        chunks = sharing(strategy, chunk, len(bounds))()
        return _joined(chunks, [end - first for first, end in bounds], count)

    return run


def _joined(chunks: list[Scores], sizes: list[int], count: int) -> Scores:
    """Returns the scores of `count` tasks from those of chunks, which may be filled up."""
    return {
        name: np.concatenate(
            [chunk[name][:size] for chunk, size in zip(chunks, sizes, strict=True)]
        )[:count]
        for name in chunks[0]
    }


def mean_and_ci95(values: np.ndarray) -> tuple[float, float]:
    """Returns the mean of [n] values and the half-width of its 95 % confidence interval.

    The interval is the normal one, 1.96 s / √n with the sample's standard deviation s; n should be
    at least 2.
    """
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):  # Of a run that diverges in the test.
        return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
