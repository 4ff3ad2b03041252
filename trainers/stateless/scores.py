"""What losses and metrics give for some examples."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from trainers.errors import InputError

Score: TypeAlias = Callable[[Any, Any], tf.Tensor]
"""A function of (targets, outputs) that returns one number per example."""

RESERVED = ("loss", "meta_gradient_norm")
"""What training calls numbers of its own beside the metrics."""


def scores_of(loss: str | Score, metrics: Mapping[str, Score] | None) -> dict[str, Score]:
    """Returns a learner's `scores`.

    Args:
      loss: a Keras loss of (targets, outputs) by name, function or object.
      metrics: further scores of (targets, outputs) by name.

    Raises:
      InputError: for a metric with one of the names that are `RESERVED`, or that is no function of
        single examples.
    """
    if metrics is not None and not isinstance(metrics, Mapping):
        raise InputError(
            f"metrics={metrics!r}: should be a dict of functions of (targets, outputs) by name, as "
            "{'accuracy': keras.metrics.sparse_categorical_accuracy}"
        )
    for name, metric in (metrics or {}).items():
        # A Metric can be called too, but adds up over calls: over tasks, steps and iterations.
        if isinstance(metric, (keras.metrics.Metric, type)) or not callable(metric):
            raise InputError(
                f"metrics: {name!r} is {metric!r}; should be a function of (targets, outputs) that "
                "gives a number an example, as keras.metrics.sparse_categorical_accuracy"
            )
        if name in RESERVED:
            raise InputError(
                f"metrics: has {name!r}, which training calls a number of its own; give that "
                "metric another name"
            )
    return {"loss": keras.losses.get(loss), **(metrics or {})}


def scored(name: str, score: Score, targets: Any, outputs: Any) -> tf.Tensor:
    """Returns a score of some examples.

    As in Keras's `compile`, its mean is that of the steps that the outputs' mask leaves, where a
    function gives a number for each step.

    Args:
      name: what it is called, for the message.
      score: the function.
      targets: [M, ...].
      outputs: [M, ...], perhaps with a Keras mask.

    Returns:
      What the function gives, with 0 where the mask has no step, and the rest enlarged by as much.

    Raises:
      InputError: if one of targets and outputs is [M], the other [M, 1], and the score [M, M]: of
        each with each, as NumPy's rules make of such a difference. The mean of that says nothing
        of the examples.
    """
    found = score(targets, outputs)
    every = (found, targets, outputs)
    if all(tf.is_tensor(one) and one.shape.is_fully_defined() for one in every):
        of_score, *given = (one.shape.as_list() for one in every)
        count = of_score[0] if of_score else 1
        if count > 1 and of_score == [count, count] and sorted(given) == [[count], [count, 1]]:
            raise InputError(
                f"{name}: gives numbers {found.shape} for targets {targets.shape} and outputs "
                f"{outputs.shape}, of each target with each output; should give one an example, "
                f"({count},)"
            )
    # Keras's loss objects look at the mask themselves.
    return found if isinstance(score, keras.losses.Loss) else _of_unmasked(found, outputs)


def _of_unmasked(found: Any, outputs: Any) -> Any:
    mask = getattr(outputs, "_keras_mask", None)
    if mask is None:
        return found
    found = tf.convert_to_tensor(found)
    if not found.shape.is_compatible_with(mask.shape):
        return found
    kind = found.dtype if found.dtype.is_floating else tf.float32
    kept = tf.cast(mask, kind)
    enlarged = tf.math.divide_no_nan(tf.cast(tf.size(mask), kind), tf.reduce_sum(kept))
    return tf.cast(found, kind) * kept * enlarged
