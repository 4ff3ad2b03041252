"""The predictions for any number of queries, in parts that bound memory."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from trainers.learners.fast_weights import FastWeightsLearner
from trainers.learners.learner import Learner, State
from trainers.update_rule import Tensors

QUERY_NUMBERS = 2**20
"""Numbers of queries that are worked on together; activations take some 100 bytes for each."""


def answer_type(dtype: tf.DType) -> tf.DType:
    """Returns the dtype of an answer: float32 for half precision, otherwise the output's own."""
    return tf.float32 if dtype in (tf.bfloat16, tf.float16) else dtype


def prediction(
    learner: Learner, input_specs: Any, answer_specs: Any, *, whole: bool = False
) -> Callable[[State, Any], Any]:
    """Prepares `Learner.predict` for any number of queries.

    Where a `FastWeightsLearner`'s queries are normalised together, their statistics are those of
    all of them: a pass over the parts for each normalising layer, from the first to the last, and
    one for the answers.

    Args:
      learner: a trained learner.
      input_specs: the inputs, [None, ...], one spec or a nested structure of them.
      answer_specs: the outputs, [None, ...], likewise, of their `answer_type`.
      whole: whether queries are never parted, however many they are.

    Returns:
      A function of what `Learner.adapt` gave and inputs [M, ...].
    """

    def answer(state: State, inputs: Any) -> Any:
        return tf.nest.map_structure(
            lambda output: tf.cast(output, answer_type(output.dtype)),
            learner.predict(state, inputs),
        )

    # Of another learner it is not known how its parts join.
    if whole or (learner.normalises_together and not isinstance(learner, FastWeightsLearner)):
        return answer
    numbers = sum(math.prod(spec.shape[1:]) for spec in tf.nest.flatten(input_specs))
    numbers += learner.numbers_per_query
    size = max(1, QUERY_NUMBERS // numbers)

    # Called, not inlined, where it is needed: it would be a large part of each signature's graph.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def in_parts(inputs: Any, state: State) -> Any:
        if isinstance(learner, FastWeightsLearner) and learner.normalises_together:
            state = [*state, *_statistics(learner, state, inputs, size)]
        return rows_in_parts(lambda rows: answer(state, rows), inputs, size, answer_specs)

    def predict(state: State, inputs: Any) -> Any:
        return tf.cond(
            _count(inputs) <= size,
            lambda: answer(state, inputs),
            lambda: in_parts(inputs, state),
        )

    return predict


def _count(rows: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(rows)[0])[0]


def _rows(values: Any, start: tf.Tensor | int, size: int | tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda value: value[start : start + size], values)


def _statistics(learner: FastWeightsLearner, weights: Tensors, inputs: Any, size: int) -> Tensors:
    """Returns the mean and the variance of each normalising layer's inputs over all rows."""

    def used(known: Sequence[tf.Tensor], rows: Any) -> Tensors:
        output = learner.pure_model(weights, rows, training=False, statistics=list(known))
        return output.statistics

    count = _count(inputs)
    known: Tensors = []
    first = tf.function(lambda: used([], _rows(inputs, 0, 1)), autograph=False)
    calls = first.get_concrete_function().outputs
    for place in range(0, len(calls), 2):
        # As parts join, their means and squared deviations do by Chan, Golub and LeVeque (1979).
        def join(start: tf.Tensor, mean: tf.Tensor, deviation: tf.Tensor, before=tuple(known)):
            rows = _rows(inputs, start, size)
            part_mean, part_variance = used(before, rows)[len(before) : len(before) + 2]
            joined, joining = (tf.cast(n, mean.dtype) for n in (start, _count(rows)))
            share = joining / (joined + joining)
            step = part_mean - mean
            deviation += joining * part_variance + joined * share * tf.square(step)
            return start + size, mean + share * step, deviation

        zeros = tf.zeros(calls[place].shape, calls[place].dtype)
        _, mean, deviation = tf.while_loop(
            lambda start, *_: start < count,
            join,
            (tf.constant(0), zeros, zeros),
            parallel_iterations=1,
        )
        known += [mean, deviation / tf.cast(count, deviation.dtype)]
    return known


def rows_in_parts(
    function: Callable[[Any], Any], rows: Any, size: int | tf.Tensor, specs: Any
) -> Any:
    """Applies a function to rows, `size` of them at a time.

    Args:
      function: maps [n, ...] to [n, ...], each row on its own.
      rows: [count, ...], a tensor or a nested structure of them.
      size: rows of a part; the last one may have fewer.
      specs: what `function` returns, [None, ...], likewise.
    """
    count = _count(rows)
    parts = [
        tf.TensorArray(
            spec.dtype, (count + size - 1) // size, infer_shape=False, element_shape=spec.shape
        )
        for spec in tf.nest.flatten(specs)
    ]

    def write(
        number: tf.Tensor, parts: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, list[tf.TensorArray]]:
        made = tf.nest.flatten(function(_rows(rows, number * size, size)))
        return number + 1, [
            part.write(number, value) for part, value in zip(parts, made, strict=True)
        ]

    _, parts = tf.while_loop(
        lambda number, _: number * size < count,
        write,
        (tf.constant(0), parts),
        parallel_iterations=1,
    )
    return tf.nest.pack_sequence_as(specs, [part.concat() for part in parts])
