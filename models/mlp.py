"""Multi-layer perceptrons."""

from collections.abc import Sequence

import keras


def mlp(
    input_shape: tuple[int, ...],
    output_size: int,
    seed: int,
    *,
    hidden: Sequence[int] = (40, 40),
    stddev: float = 0.01,
) -> keras.Model:
    """Builds the regressor of Meta-SGD's sinusoid: 1-40-40-1 with ReLU.

    Args:
      input_shape: shape of one input, flat.
      output_size: number of linear outputs.
      seed: the seed of the initial weights.
      hidden: widths of the hidden layers.
      stddev: standard deviation of the weights' truncated normal; biases start at 0.

    Returns:
      A model from `[N, *input_shape]` to [N, output_size], float32.

    Source: Li et al. 2017, the network of Table 1.
    """
    initializer = keras.initializers.TruncatedNormal(
        stddev=stddev, seed=keras.random.SeedGenerator(seed)
    )
    layers = [
        keras.layers.Dense(
            width, activation="relu", kernel_initializer=initializer, name=f"hidden_{number}"
        )
        for number, width in enumerate(hidden, start=1)
    ]
    output = keras.layers.Dense(output_size, kernel_initializer=initializer, name="output")
    return keras.Sequential([keras.Input(input_shape), *layers, output], name="mlp")
