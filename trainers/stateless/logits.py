"""Whether a classifier gives logits, as losses and exports take them, or probabilities."""

from typing import Any

import keras
import tensorflow as tf

from trainers.errors import InputError

PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)
OF_PROBABILITIES = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.binary_crossentropy,
)
"""Losses that take logits only where they are told to."""


def refuse_probabilities(model: keras.Model, outputs: tf.Tensor | None = None) -> None:
    """Refuses a model whose last operation is a softmax or a sigmoid.

    Args:
      model: a built classifier.
      outputs: what it gives for some inputs, [N, ways], where that is at hand: rows of
        probabilities tell a softmax that no layer shows.

    Raises:
      InputError: if it gives probabilities.
    """
    name = _layer_of_probabilities(model)
    if name is None and outputs is not None and _are_probabilities(outputs):
        name = "what its call ends in"
    if name is not None:
        raise InputError(
            f"model={model.name!r}: gives probabilities, by {name}; should give logits, as the "
            "loss and the export take the softmax of them: leave the last activation out"
        )


def refuse_logits(model: keras.Model, loss: Any) -> None:
    """Refuses a model whose last layer is linear with a loss that takes probabilities.

    Keras takes such outputs for probabilities between 0 and 1, outside of which its loss is flat:
    nothing would be learned.

    Args:
      model: a built model.
      loss: a function of (targets, outputs), or a Keras loss object.

    Raises:
      InputError: if they do not fit.
    """
    last = _last_operation(model)
    while isinstance(last, keras.Model):
        last = _last_operation(last)
    of_probabilities = loss in OF_PROBABILITIES or getattr(loss, "from_logits", True) is False
    if of_probabilities and getattr(last, "activation", None) is keras.activations.linear:
        raise InputError(
            f"loss={getattr(loss, 'name', None) or loss.__name__}: takes probabilities, and "
            f"model={model.name!r} gives logits, by its layer {last.name}; should be told so, as "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True) is"
        )


def _layer_of_probabilities(model: keras.Model) -> str | None:
    last = _last_operation(model)
    if isinstance(last, keras.Model):
        return _layer_of_probabilities(last)
    if isinstance(last, keras.layers.Softmax):
        return f"its layer {last.name} (Softmax)"
    activation = getattr(last, "activation", None)
    if activation in PROBABILITIES or isinstance(activation, keras.layers.Softmax):
        kind = getattr(activation, "__name__", "softmax")
        return f"the {kind} of its layer {last.name} ({type(last).__name__})"
    return None


def _last_operation(model: keras.Model) -> Any:
    """Returns the operation that gives the model's one output; None if it cannot be told."""
    try:
        (output,) = model.outputs
        return output._keras_history.operation
    except (AttributeError, TypeError, ValueError):
        return None  # A model with a `call` of its own, or with several outputs.


def _are_probabilities(outputs: tf.Tensor) -> bool:
    sums = tf.reduce_sum(outputs, axis=-1)
    return bool(tf.reduce_all(outputs >= 0) & tf.reduce_all(tf.abs(sums - 1) < 1e-3))
