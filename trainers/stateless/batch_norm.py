"""Batch normalisation by the statistics of the batch, fit for second derivatives."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.stateless import image_norm
from trainers.stateless.layer_classes import super_call

BATCH_NORMS = ("transductive", "support")
"""Whose statistics queries are normalised by: those of the queries, or of the support set."""

STATISTICS = "_batch_statistics"
"""The attribute of a layer that holds the statistics given to it and those that it uses."""

_OWN_ALONE = (
    "batch_norm=support: {} has a mask, renorm or synchronized, and can be normalised by the "
    "statistics of its own batch alone; take batch_norm=transductive"
)

Statistics = list[tf.Tensor]
"""Mean and variance of each call of a batch-normalising layer, in the order of the calls."""


def refuse_unknown(batch_norm: str) -> None:
    """Checks that this is one of `BATCH_NORMS`.

    Raises:
      InputError: if it is not.
    """
    if batch_norm not in BATCH_NORMS:
        raise InputError(f"batch_norm={batch_norm!r}: should be one of {', '.join(BATCH_NORMS)}")


def of_the_support_set(
    layers: Sequence[keras.layers.BatchNormalization], statistics: Statistics
) -> Statistics:
    """Returns the statistics of a call on a support set, for its queries to be normalised by.

    Args:
      layers: the batch-normalising layers of the model.
      statistics: what `batch_statistics` yielded.

    Raises:
      InputError: if a layer that is not frozen has none.
    """
    normalising = [layer.name for layer in layers if layer.trainable]
    if len(statistics) < 2 * len(normalising):
        raise InputError(_OWN_ALONE.format(" or ".join(normalising)))
    return statistics


def all_but_norms(model: keras.Model) -> list[int]:
    """Returns the numbers of the weights that are not γ or β of a normalisation by batches.

    Args:
      model: a built model.
    """
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    theirs = {id(variable) for layer in norms for variable in layer.trainable_variables}
    every = model.trainable_variables
    return [number for number, variable in enumerate(every) if id(variable) not in theirs]


@contextlib.contextmanager
def batch_statistics(
    layers: Sequence[keras.layers.BatchNormalization], given: Statistics | None = None
) -> Iterator[Statistics]:
    """Makes these layers use the statistics of their batch, or given ones, whatever `training` is.

    Keras has no argument for this: a functional model hands its own `training` to each layer. As
    in training, a layer that is frozen by `trainable=False` uses its moving averages. A subclass
    with a `call` of its own keeps it: what changes is the `BatchNormalization.call` that it calls.
    Calls with a mask, `renorm` or `synchronized` are Keras's own, by the statistics of the batch.

    Args:
      layers: the layers.
      given: what an earlier context of the same model yielded, to be used in place of the batch's;
        where it is only the beginning of that, further calls use the batch's.

    Yields:
      The statistics that the calls use, complete when the model has been called.

    Raises:
      InputError: by a call that is Keras's own where statistics are given.
    """
    used: Statistics = []
    remaining = None if given is None else list(given)
    for layer in layers:
        layer.__dict__[STATISTICS] = (remaining, used)
    try:
        with super_call(layers, keras.layers.BatchNormalization, _ByBatch):
            yield used
    finally:
        for layer in layers:
            del layer.__dict__[STATISTICS]


class _ByBatch(keras.layers.BatchNormalization):
    """Batch normalisation with the statistics that `batch_statistics` chooses."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        del training
        given, used = self.__dict__[STATISTICS]
        if mask is None and self.trainable and not (self.renorm or self.synchronized):
            return _normalise(self, inputs, given, used)
        if given is not None and self.trainable:
            raise InputError(_OWN_ALONE.format(self.name))
        return super().call(inputs, training=True, mask=mask)


def _normalise(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    given: Statistics | None,
    used: Statistics,
) -> tf.Tensor:
    """Normalises as Keras does in training, with fewer operations when it is differentiated."""
    given = given or None  # What was given may be used up.
    axes = [axis for axis in range(len(inputs.shape)) if axis != layer.axis % len(inputs.shape)]
    shape = [-1 if axis not in axes else 1 for axis in range(len(inputs.shape))]
    x = tf.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    if given is None:
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
    else:
        mean, variance = given.pop(0), given.pop(0)
    # What nobody asks for of these is left out of a graph.
    used += [mean, variance]
    if given is None and image_norm.fits(x, layer.axis):
        gamma = layer.gamma if layer.scale else tf.ones([x.shape[-1]])
        beta = layer.beta if layer.center else tf.zeros([x.shape[-1]])
        outputs, mean, variance = image_norm.image_norm(
            x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta), layer.epsilon
        )
    else:
        scale = tf.math.rsqrt(variance + layer.epsilon)
        if layer.scale:
            scale *= tf.reshape(tf.cast(layer.gamma, x.dtype), shape)
        outputs = (x - mean) * scale
        if layer.center:
            outputs += tf.reshape(tf.cast(layer.beta, x.dtype), shape)
    for average, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept = tf.cast(average, x.dtype) * layer.momentum
        average.assign(kept + tf.reshape(value, [-1]) * (1.0 - layer.momentum))
    return tf.cast(outputs, layer.compute_dtype)
