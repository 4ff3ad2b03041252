"""The network of MANN: inputs and the label before them, through a `MemoryCell`.

Source: Santoro et al. 2016, section 3 and appendix: images of 20×20, flattened, and a linear layer
on what the LSTM gives and what is read. An embedding of each image in place of its pixels is not
the paper's.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from models.memory import MemoryCell

SIDE = 20


class Shrink(keras.layers.Layer):
    """Shrinks images to at most `side` × `side` by means over equal areas."""

    def __init__(self, side: int = SIDE, **kwargs: Any):
        """Sets the size."""
        super().__init__(**kwargs)
        self.side = side

    def call(self, images: Any) -> Any:
        """Maps [..., height, width, channels] to [..., side, side, channels]."""
        rows, columns = (
            ops.cast(areas(size, min(size, self.side)), images.dtype)
            for size in images.shape[-3:-1]
        )
        # No einsum, see `models.memory`.
        of_rows = ops.tensordot(images, rows, axes=((-3,), (1,)))  # [..., width, channels, k]
        shrunk = ops.tensordot(of_rows, columns, axes=((-3,), (1,)))  # [..., channels, k, l]
        return ops.moveaxis(shrunk, -3, -1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return super().get_config() | {"side": self.side}


def areas(size: int, parts: int) -> np.ndarray:
    """Returns the share that each of `size` pixels has in each of equal parts, [parts, size]."""
    edges = np.arange(parts + 1) * size / parts
    pixels = np.arange(size)
    ends = np.minimum(edges[1:, np.newaxis], pixels + 1)
    starts = np.maximum(edges[:-1, np.newaxis], pixels)
    return np.maximum(ends - starts, 0.0) * parts / size


class OfEachStep(keras.layers.Layer):
    """Applies a layer to each step of sequences, to all at once.

    `keras.layers.TimeDistributed` applies it to one step after the other.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any):
        """Wraps a layer from [N, ...] to [N, ...]."""
        super().__init__(**kwargs)
        self.layer = layer

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns [B, T, ...] with the layer's outputs behind."""
        return (*shape[:2], *self.layer.compute_output_shape((None, *shape[2:]))[1:])

    def call(self, sequences: Any, training: bool | None = None) -> Any:
        """Maps [B, T, ...] to [B, T, ...]."""
        steps = ops.reshape(sequences, (-1, *sequences.shape[2:]))
        outputs = self.layer(steps, training=training)
        return ops.reshape(outputs, (*ops.shape(sequences)[:2], *outputs.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        layer = keras.saving.serialize_keras_object(self.layer)
        return super().get_config() | {"layer": layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OfEachStep":
        """Makes the layer from what `get_config` gave."""
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config | {"layer": layer})


def memory_network(
    input_shape: tuple[int, ...],
    output_size: int,
    seed: int,
    embedding: keras.Model | None = None,
    **sizes: int,
) -> keras.Model:
    """Builds the network for sequences of examples.

    Args:
      input_shape: shape of one input; images, [height, width, channels], are shrunk.
      output_size: numbers of a label and of an output: classes, or a target's numbers.
      seed: the seed of the initial weights.
      embedding: from `[N, *input_shape]` to features [N, ...], which are given to the LSTM in
        place of the inputs.
      **sizes: those of `MemoryCell`.

    Returns:
      A model of `inputs` `[B, T, *input_shape]`, `previous` [B, T, output_size], the label of the
      step before each, and `states`, a list of [B, size], those before the first step. It gives
      outputs [B, T, output_size] and a list of the states after the last step.
    """
    cell = MemoryCell(seed=seed, name="cell", **sizes)
    inputs = keras.Input((None, *input_shape), name="inputs")
    previous = keras.Input((None, output_size), name="previous")
    states = [keras.Input((size,)) for size in cell.state_size]
    start = keras.initializers.GlorotUniform(keras.random.SeedGenerator(seed + 1))
    if embedding is not None:
        seen = OfEachStep(embedding, name="embedding")(inputs)
    else:
        seen = Shrink(name="shrink")(inputs) if len(input_shape) == 3 else inputs
    flat = keras.layers.Reshape((-1, math.prod(seen.shape[2:])), name="flatten")(seen)
    together = keras.layers.Concatenate(name="with_label")([flat, previous])
    projected = keras.layers.Dense(
        4 * cell.units, use_bias=False, kernel_initializer=start, name="input"
    )(together)
    memory = keras.layers.RNN(cell, return_sequences=True, return_state=True, name="memory")
    steps, *last = memory(projected, initial_state=states)
    outputs = keras.layers.Dense(output_size, kernel_initializer=start, name="output")(steps)
    given = {"inputs": inputs, "previous": previous, "states": states}
    return keras.Model(given, (outputs, last), name="memory_network")


def normalised_pixels(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds a classifier of images by their pixels, shrunk, with mean 0 and variance 1 in each.

    As an embedding, without its last layer, it has the LSTM see how images differ, and not what
    all have in common: the mean of textures is large beside their differences. It is
    not the paper's, whose images are ink on paper.

    Args:
      input_shape: [height, width, channels].
      output_size: outputs.
      seed: the seed of the initial weights.
    """
    inputs = keras.Input(input_shape)
    pixels = keras.layers.Flatten(name="flatten")(Shrink(name="shrink")(inputs))
    normal = keras.layers.LayerNormalization(center=False, scale=False, name="normal")(pixels)
    start = keras.initializers.GlorotUniform(seed)
    outputs = keras.layers.Dense(output_size, kernel_initializer=start, name="output")(normal)
    return keras.Model(inputs, outputs, name="normalised_pixels")


def initial_states(model: keras.Model, batch_size: Any) -> list[Any]:
    """Returns the states of a `memory_network` before the first step, each [batch_size, size]."""
    return model.get_layer("memory").get_initial_state(batch_size)
