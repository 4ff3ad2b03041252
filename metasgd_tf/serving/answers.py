"""A learner's answers to a batch of tasks, each adapted to on its own.

A loop over the tasks has its body traced once, for any number of them. Several are in flight, one
a core, and no more than a bounded number, which bounds memory. Or tasks are one batch of each
operation, as many at once as `devices.tasks_at_once` says, which is what a GPU needs.
"""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from metasgd_tf.serving.prediction import answer_type, prediction, rows_in_parts
from metasgd_tf.serving.state_layout import StateLayout
from trainers.batching import batched_operations
from trainers.batching.as_products import as_products
from trainers.devices import TASKS_IN_FLIGHT, tasks_at_once
from trainers.errors import InputError
from trainers.learners.learner import Learner, State
from trainers.learners.meta_sgd import MetaLearner
from trainers.update_rule import Tensors

Steps: TypeAlias = int | tf.Tensor


class Answers(NamedTuple):
    """A learner as functions of B tasks, to be called in a graph with checked tensors.

    Attributes:
      answer: maps support inputs [B, N, ...], support targets [B, N, ...], query inputs
        [B, M, ...] and the number of inner steps to outputs [B, M, ...]. That number is an int, or
        for a `MetaLearner` an int32 tensor, with which a task takes a third longer.
      adapt: maps support inputs, support targets and inner steps to states [B, size].
      predict: maps what `adapt` gave and query inputs to outputs [B, M, ...].
      size: numbers that a task's state is, such as its fast weights.
      size_per_example: how many more they are for each support example.
      outputs: the specs of a task's outputs, [None, ...], in the model's structure.
    """

    answer: Callable[[Any, Any, Any, Steps], Any]
    adapt: Callable[[Any, Any, Steps], tf.Tensor]
    predict: Callable[[tf.Tensor, Any], Any]
    size: int
    size_per_example: int
    outputs: Any


def answers(
    learner: Learner, input_specs: Any, target_specs: Any, *, batched: bool = False
) -> Answers:
    """Prepares a learner's answers; it reads θ and α as they are when these are asked for.

    Args:
      learner: a trained learner.
      input_specs: a task's inputs, [None, ...], one spec or a nested structure of them.
      target_specs: a task's targets, [None, ...], likewise.
      batched: whether each operation is done for many tasks at once.
    """
    adapted = _adapting(learner)
    with as_products() if batched else contextlib.nullcontext():
        traced = adapted.get_concrete_function(input_specs, target_specs, learner.inner_steps)
    structure = traced.structured_outputs
    layout = StateLayout(tf.nest.flatten(structure))
    state_spec = tf.TensorSpec([layout.size if not layout.size_per_example else None], tf.float32)
    answer_specs = _output_specs(learner, structure, input_specs)
    predict = prediction(learner, input_specs, answer_specs, whole=batched)

    def packed(state: State) -> tf.Tensor:
        return layout.packed(tf.nest.flatten(state))

    def unpacked(values: tf.Tensor) -> State:
        return tf.nest.pack_sequence_as(structure, layout.unpacked(values))

    for_tasks: ForTasks = _for_each_task
    if batched:
        for_tasks = _in_batches(learner)
        adapted, predict = _of_many(adapted, 2, learner), _of_many(predict, 2, learner)
        packed, unpacked = _of_many(packed, 1, learner), _of_many(unpacked, 1, learner)

    @tf.function(autograph=False)
    def answer(inputs: Any, targets: Any, queries: Any, steps: Steps) -> Any:
        def some(tasks: tuple[Any, ...]) -> Any:
            return predict(adapted(tasks[0], tasks[1], steps), tasks[2])

        return for_tasks(some, (inputs, targets, queries), answer_specs, (inputs, queries))

    def adapt(inputs: Any, targets: Any, steps: Steps) -> tf.Tensor:
        def some(tasks: tuple[Any, ...]) -> tf.Tensor:
            return packed(adapted(tasks[0], tasks[1], steps))

        return for_tasks(some, (inputs, targets), state_spec, (inputs,))

    def predict_adapted(state: tf.Tensor, queries: Any) -> Any:
        def some(tasks: tuple[Any, ...]) -> Any:
            return predict(unpacked(tasks[0]), tasks[1])

        return for_tasks(some, (state, queries), answer_specs, (queries,))

    return Answers(
        answer, adapt, predict_adapted, layout.size, layout.size_per_example, answer_specs
    )


def _adapting(learner: Learner) -> tf.types.experimental.PolymorphicFunction:
    # A function of its own so that an export holds once what several signatures share.
    @tf.function(autograph=False)
    def adapted(inputs: Any, targets: Any, steps: Steps) -> State:
        if isinstance(steps, int):
            return learner.adapt(inputs, targets, steps=steps)
        assert isinstance(learner, MetaLearner), "no signature asks others for a number of steps"
        return _steps_at_run_time(learner, inputs, targets, steps)

    return adapted


def _output_specs(learner: Learner, state: State, input_specs: Any) -> Any:
    predicted = tf.function(learner.predict, autograph=False).get_concrete_function(
        tf.nest.map_structure(tf.TensorSpec.from_tensor, state), input_specs
    )
    return tf.nest.map_structure(
        lambda output: tf.TensorSpec([None, *output.shape[1:]], answer_type(output.dtype)),
        predicted.structured_outputs,
    )


def _steps_at_run_time(
    learner: MetaLearner, inputs: Any, targets: Any, steps: tf.Tensor
) -> Tensors:
    count = len(learner.theta)

    def step(done: tf.Tensor, weights: Tensors) -> tuple[tf.Tensor, Tensors]:
        return done + 1, learner.adapt(inputs, targets, steps=1, theta=weights)[:count]

    theta = learner.adapt(inputs, targets, steps=0)[:count]
    _, weights = tf.while_loop(
        lambda done, _: done < steps, step, (tf.constant(0), theta), parallel_iterations=1
    )
    # No further step, but what belongs to weights beside them: the support set's statistics.
    return learner.adapt(inputs, targets, steps=0, theta=weights)


ForTasks: TypeAlias = Callable[[Callable[[tuple[Any, ...]], Any], tuple[Any, ...], Any, Any], Any]
"""A function from one of the tensors of a task, or of some tasks [n, ...], those of B tasks, the
specs of a task's results and the tensors [B, N, ...] whose examples take memory, to the results of
all tasks."""


def _in_batches(learner: Learner) -> ForTasks:
    of_one_example = tasks_at_once(learner.model, 1)

    def for_tasks(
        function: Callable[[tuple[Any, ...]], Any], tasks: tuple[Any, ...], specs: Any, counted: Any
    ) -> Any:
        examples = tf.add_n([tf.shape(tf.nest.flatten(part)[0])[1] for part in counted])
        of_tasks = tf.nest.map_structure(
            lambda spec: tf.TensorSpec([None, *spec.shape], spec.dtype), specs
        )
        at_once = tf.maximum(1, of_one_example // tf.maximum(1, examples))
        return rows_in_parts(function, tasks, at_once, of_tasks)

    return for_tasks


def _of_many(function: Callable[..., Any], count: int, learner: Learner) -> Callable[..., Any]:
    """Returns a function of some tasks' tensors [n, ...] that does each operation once for all.

    Args:
      function: of a task's tensors.
      count: how many of its arguments are a task's, the first ones; the rest is the same for all.
      learner: whose function it is.
    """

    @tf.function(autograph=False)
    def of_many(*given: Any) -> Any:
        batched_operations.register()
        try:
            with as_products():
                return tf.vectorized_map(
                    lambda task: function(*task, *given[count:]),
                    given[:count],
                    fallback_to_while_loop=False,
                )
        except (ValueError, NotImplementedError) as error:
            raise InputError(
                f"task_batching=batched: model={learner.model.name!r} has an operation that "
                "cannot be done for many tasks at once; should be side_by_side"
            ) from error

    return of_many


def _for_each_task(
    function: Callable[[tuple[Any, ...]], Any], tasks: tuple[Any, ...], specs: Any, counted: Any
) -> Any:
    del counted
    return tf.map_fn(
        function, tasks, fn_output_signature=specs, parallel_iterations=TASKS_IN_FLIGHT
    )
