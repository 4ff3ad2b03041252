"""A small network around a layer, and the examples that it is tried on."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainers.episodes import Episode

layers = keras.layers
EXAMPLES = 3
"""Of the support set, and of the query set."""
DTYPES = {"numbers": None, "tokens": "int32", "words": "string"}


class Case(NamedTuple):
    """A layer in a network.

    Attributes:
      shape: of an example.
      apply: puts the layer on a tensor [N, *shape].
      before: the activation of the layer with weights that goes before it; None where no gradient
        goes through the layer, so that it stands first.
      kind: what the examples are, one of `DTYPES`.
      floatx: the precision that the layer computes in, whatever it is asked for.
      wrong: why its meta-gradient is not right, where it is not.
    """

    shape: tuple[int, ...]
    apply: Callable[[Any], Any]
    before: str | None = "tanh"
    kind: str = "numbers"
    floatx: str = "float64"
    wrong: str = ""


def of(shape: tuple[int, ...], layer: Callable[[], keras.Layer], **options: Any) -> Case:
    """Returns the case of a layer that takes one tensor."""
    return Case(shape, lambda x: layer()(x), **options)


def network(cases: Sequence[Case]) -> keras.Model:
    """Builds a classifier with a branch for each case."""
    inputs, branches = [], []
    for case in cases:
        x = keras.Input(case.shape, dtype=DTYPES[case.kind])
        inputs.append(x)
        if case.before and case.kind == "numbers":
            x = layers.Dense(case.shape[-1], case.before)(x)
        x = case.apply(x)
        branches.append(x if len(x.shape) == 2 else layers.Flatten()(x))
    together = branches[0] if len(cases) == 1 else layers.Concatenate()(branches)
    return keras.Model(inputs, layers.Dense(3)(together))


def episode(cases: Sequence[Case]) -> Episode:
    """Draws a support and a query set for `network(cases)`."""
    random = np.random.default_rng(6)
    support, query = zip(*(_inputs(case, random) for case in cases), strict=True)
    targets = tf.constant(random.integers(0, 3, (2, EXAMPLES)))
    return Episode(list(support), targets[0], list(query), targets[1])


def _inputs(case: Case, random: np.random.Generator) -> tf.Tensor:
    shape = (2, EXAMPLES, *case.shape)
    if case.kind == "numbers":
        return tf.constant(random.normal(size=shape), keras.config.floatx())
    tokens = tf.constant(random.integers(0, 4, shape), tf.int32)
    return tf.strings.as_string(tokens) if case.kind == "words" else tokens
