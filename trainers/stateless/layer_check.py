"""Finds layers with wrong or missing second derivatives, by checking each one numerically.

With a layer's outputs y(p), where p are its inputs and weights, and φ(p) = ½ Σ (r y)² for some
random numbers r, the product of φ's second derivative with a direction v is compared with

    (∇φ(p + h v) − ∇φ(p − h v)) / 2h

First derivatives are TensorFlow's own and are taken for right.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainers.stateless.batch_norm import batch_statistics
from trainers.stateless.second_derivatives import exact_second_derivatives

Point = list[tf.Tensor]

TOLERANCE = 0.05
"""Of the second derivative's size; a term that is left out is as large as it, rounding is not."""
STEPS = (1e-2, 1e-3, 1e-4)
"""A kink within a larger step may spoil it, and rounding a smaller one."""


def untrusted_layers(model: keras.Model, inputs: Any) -> dict[str, str]:
    """Finds the layers that cannot be differentiated twice.

    Args:
      model: a built model.
      inputs: what it is called with, [N, ...].

    Returns:
      By the name of each layer that fails, and its class in parentheses, what fails. Only layers
      that are reached are checked.
    """
    found = {}
    for layer, (args, kwargs) in _calls(model, inputs):
        try:
            right = _is_right(layer, args, kwargs)
            problem = None if right else "its second derivative is wrong"
        except Exception as error:
            # Whatever TensorFlow raises where it has no derivative.
            problem = f"it has no second derivative ({str(error).strip().splitlines()[-1]})"
        if problem:
            found[f"{layer.name} ({type(layer).__name__})"] = problem
    return found


def parts(model: keras.Model) -> Iterator[keras.Layer]:
    """Yields a model's layers, those of nested models in place of these."""
    for layer in model._layers:
        if isinstance(layer, keras.Model):
            yield from parts(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _calls(model: keras.Model, inputs: Any) -> list[tuple[keras.Layer, tuple[Any, Any]]]:
    """Returns each layer with the arguments of its first call within a call of the model."""
    calls: dict[int, tuple[Any, Any]] = {}
    # One that is shared with a model within is met several times.
    layers = list({id(layer): layer for layer in parts(model)}.values())

    def recording(layer: keras.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            calls.setdefault(id(layer), (args, kwargs))
            return call(*args, **kwargs)

        return record

    for layer in layers:
        layer.call = recording(layer, layer.call)
    try:
        # Inputs that the model does not take are named by whoever trains it.
        with contextlib.suppress(Exception), keras.StatelessScope():
            model(inputs, training=True)
    finally:
        for layer in layers:
            del layer.call
    return [(layer, calls[id(layer)]) for layer in layers if id(layer) in calls]


def _is_right(layer: keras.Layer, args: Any, kwargs: Any) -> bool:
    given = tf.nest.flatten((args, kwargs))
    places = [n for n, v in enumerate(given) if tf.is_tensor(v) and v.dtype.is_floating]
    at = [given[n] for n in places] + [tf.convert_to_tensor(v) for v in layer.trainable_variables]
    if not at:
        return True
    phi = _phi(layer, args, kwargs, places)
    random = np.random.default_rng(0)
    # Aside of where values are equal, as many are after ReLU, and pooling has its kinks.
    at = [p + tf.constant(random.standard_normal(p.shape), p.dtype) * _size(p) for p in at]

    def slope(point: Point) -> Point:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            value = phi(point)
        return tape.gradient(value, point, unconnected_gradients="zero")

    direction = [tf.constant(random.standard_normal(p.shape), p.dtype) for p in at]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        along = tf.add_n(
            [
                tf.reduce_sum(tf.cast(g * v, tf.float64))
                for g, v in zip(slope(at), direction, strict=True)
            ]
        )
    found = tape.gradient(along, at, unconnected_gradients="zero")
    errors = []
    for step in STEPS:
        up, down = (
            slope([p + sign * step * v for p, v in zip(at, direction, strict=True)])
            for sign in (1, -1)
        )
        expected = [(u - d) / (2 * step) for u, d in zip(up, down, strict=True)]
        missed = tf.linalg.global_norm([f - e for f, e in zip(found, expected, strict=True)])
        size = tf.linalg.global_norm(expected)
        # Of a second derivative that is 0 rounding is all that there is to see.
        noise = 1e-6 * float(tf.linalg.global_norm(slope(at))) / step
        errors.append(float(missed) <= TOLERANCE * float(size) + noise)
    return any(errors)


def _phi(
    layer: keras.Layer, args: Any, kwargs: Any, places: list[int]
) -> Callable[[Point], tf.Tensor]:
    """Returns φ as a function of a layer's floating inputs, at `places`, and its weights."""
    given = tf.nest.flatten((args, kwargs))
    norms = [
        part
        for part in layer._flatten_layers()
        if isinstance(part, keras.layers.BatchNormalization)
    ]

    def phi(point: Point) -> tf.Tensor:
        values = list(given)
        for n, value in zip(places, point, strict=False):
            values[n] = value
        some, named = tf.nest.pack_sequence_as((args, kwargs), values)
        replaced = zip(layer.trainable_variables, point[len(places) :], strict=True)
        with (
            keras.StatelessScope(list(replaced)),
            batch_statistics(norms),
            exact_second_derivatives(),
        ):
            outputs = [y for y in tf.nest.flatten(layer(*some, **named)) if y.dtype.is_floating]
        numbers = np.random.default_rng(1)
        weights = [tf.constant(numbers.standard_normal(y.shape), y.dtype) for y in outputs]
        total = [tf.reduce_sum((r * y) ** 2) for r, y in zip(weights, outputs, strict=True)]
        return tf.add_n([tf.cast(value, tf.float64) for value in total]) / 2

    return phi


def _size(values: tf.Tensor) -> tf.Tensor:
    return 0.1 * tf.math.reduce_std(values) + tf.constant(1e-3, values.dtype)
