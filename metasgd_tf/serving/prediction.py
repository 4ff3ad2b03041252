"""The predictions for any number of queries, in parts that bound memory."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from trainers.learners.learner import Learner, State
from trainers.learners.meta_sgd import MetaLearner
from trainers.update_rule import Tensors

QUERY_NUMBERS = 2**20
"""Numbers of query inputs that are worked on together; activations take some 100 bytes for each."""


def prediction(
    learner: Learner, input_spec: tf.TensorSpec, answer_spec: tf.TensorSpec
) -> Callable[[State, tf.Tensor], tf.Tensor]:
    """Prepares `Learner.predict` for any number of queries.

    Where a `MetaLearner`'s queries are normalised together, their statistics are those of all of
    them: a pass over the parts for each normalising layer, from the first to the last, and one for
    the answers.

    Args:
      learner: a trained learner.
      input_spec: the inputs, [None, ...].
      answer_spec: the outputs, [None, ...].

    Returns:
      A function of what `Learner.adapt` gave and inputs [M, ...].
    """
    size = max(1, QUERY_NUMBERS // math.prod(input_spec.shape[1:]))
    if learner.normalises_together and not isinstance(learner, MetaLearner):
        return learner.predict  # Of another learner it is not known how its parts join.

    # Called, not inlined, where it is needed: it would be a large part of each signature's graph.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def in_parts(inputs: tf.Tensor, state: State) -> tf.Tensor:
        if isinstance(learner, MetaLearner) and learner.normalises_together:
            state = [*state, *_statistics(learner, state, inputs, size)]
        return rows_in_parts(lambda rows: learner.predict(state, rows), inputs, size, answer_spec)

    def predict(state: State, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.shape(inputs)[0] <= size,
            lambda: learner.predict(state, inputs),
            lambda: in_parts(inputs, state),
        )

    return predict


def _statistics(learner: MetaLearner, weights: Tensors, inputs: tf.Tensor, size: int) -> Tensors:
    """Returns the mean and the variance of each normalising layer's inputs over all rows."""

    def used(known: Sequence[tf.Tensor], rows: tf.Tensor) -> Tensors:
        output = learner.pure_model(weights, rows, training=False, statistics=list(known))
        return output.statistics

    count = tf.shape(inputs)[0]
    known: Tensors = []
    calls = (
        tf.function(lambda: used([], inputs[:1]), autograph=False).get_concrete_function().outputs
    )
    for place in range(0, len(calls), 2):
        # As parts join, their means and squared deviations do by Chan, Golub and LeVeque (1979).
        def join(start: tf.Tensor, mean: tf.Tensor, deviation: tf.Tensor, before=tuple(known)):
            rows = inputs[start : start + size]
            part_mean, part_variance = used(before, rows)[len(before) : len(before) + 2]
            joined, joining = (tf.cast(n, mean.dtype) for n in (start, tf.shape(rows)[0]))
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
    function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, size: int, spec: tf.TensorSpec
) -> tf.Tensor:
    """Returns what `function` makes of `rows`, computed for `size` rows at a time.

    Args:
      function: maps [n, ...] to [n, ...], each row on its own.
      rows: [count, ...].
      size: rows of a part; the last one may have fewer.
      spec: what `function` returns, [None, ...].
    """
    count = tf.shape(rows)[0]
    parts = tf.TensorArray(
        spec.dtype, (count + size - 1) // size, infer_shape=False, element_shape=spec.shape
    )

    def write(number: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = function(rows[number * size : (number + 1) * size])
        return number + 1, parts.write(number, part)

    _, parts = tf.while_loop(
        lambda number, _: number * size < count,
        write,
        (tf.constant(0), parts),
        parallel_iterations=1,
    )
    return parts.concat()
