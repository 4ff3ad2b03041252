"""Temporarily replaces the `call` of Keras layers, keeping the `call` of their subclasses."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras


@contextlib.contextmanager
def super_call(layers: Sequence[keras.Layer], base: Any, other: Any) -> Iterator[None]:
    """Makes `other.call` what these layers find where they had `base.call`.

    A layer of the class `base` itself calls it directly; a subclass with a `call` of its own keeps
    that, and its `super().call` is the other one.

    Args:
      layers: instances of `base`.
      base: a class of Keras.
      other: a subclass of `base` with another `call`.
    """
    kinds: list[Any] = [type(layer) for layer in layers]
    for layer, kind in zip(layers, kinds, strict=True):
        # Keras would track it as it tracks any attribute.
        object.__setattr__(layer, "__class__", _between(kind, base, other))
    try:
        yield
    finally:
        for layer, kind in zip(layers, kinds, strict=True):
            object.__setattr__(layer, "__class__", kind)


@functools.cache
def _between(kind: Any, base: Any, other: Any) -> Any:
    """Returns a class like `kind` with `other` before `base` where `super()` looks things up."""
    if kind is base:
        return other
    return type(kind.__name__, (kind, other), {"__module__": kind.__module__})


class _AsInTraining(keras.layers.SpectralNormalization):
    """Normalises its kernel at each call.

    Keras does so in training only and keeps the result in the kernel. Weights that come from
    outside are never written to, so that without this a kernel would be normalised in training and
    not afterwards.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        del training
        return super().call(inputs, training=True)


def normalising(
    layers: Sequence[keras.layers.SpectralNormalization],
) -> contextlib.AbstractContextManager[None]:
    """Makes spectral normalisation act at each call, in training and afterwards."""
    return super_call(layers, keras.layers.SpectralNormalization, _AsInTraining)
