"""The four-module convolutional network of the few-shot classification benchmarks."""

import keras


def conv4(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds four modules of 3×3 convolution, batch normalisation and ReLU, and a linear layer.

    The convolutions have 64 filters and stride 2, as MAML's for Omniglot, and no bias, which batch
    normalisation would cancel.

    Args:
      input_shape: height, width and channels of a picture.
      output_size: number of classes.
      seed: what the weights are drawn by.

    Returns:
      A model from [N, *input_shape] to logits [N, output_size], float32.

    Source: Finn et al. 2017, section 5.2.
    """
    seeds = keras.random.SeedGenerator(seed)
    layers: list[keras.Layer] = []
    for module in range(1, 5):
        layers += [
            keras.layers.Conv2D(
                64,
                3,
                strides=2,
                padding="same",
                use_bias=False,
                kernel_initializer=keras.initializers.GlorotUniform(seeds),
                name=f"conv_{module}",
            ),
            keras.layers.BatchNormalization(name=f"norm_{module}"),
            keras.layers.ReLU(name=f"relu_{module}"),
        ]
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.GlorotUniform(seeds), name="output"
        ),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers], name="conv4")
