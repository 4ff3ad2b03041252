"""Small networks that XLA is left out with, for tests that are about neither."""

import keras


def network(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds a network for images with weights in two layers."""
    seeds = keras.random.SeedGenerator(seed)
    layers = [
        # With a convolution nothing goes through XLA, which compiles longer than all of this runs.
        keras.layers.DepthwiseConv2D(7, 7, depthwise_initializer="ones", trainable=False),
        keras.layers.Flatten(),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.GlorotUniform(seeds), name="output"
        ),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


def of_numbers(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds a network for numbers with weights in two layers."""
    seeds = keras.random.SeedGenerator(seed)
    hidden, output = (
        keras.layers.Dense(
            units, activation, kernel_initializer=keras.initializers.GlorotUniform(seeds)
        )
        for units, activation in ((8, "tanh"), (output_size, None))
    )
    hidden.supports_jit = False
    return keras.Sequential([keras.Input(input_shape), hidden, output])


def convolutional(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds a network like Omniglot's, with one small block."""
    seeds = keras.random.SeedGenerator(seed)
    drawn = keras.initializers.GlorotUniform
    layers = [
        # A bias would be cancelled, and its gradient be rounding, which Adam makes large.
        keras.layers.Conv2D(4, 3, strides=2, use_bias=False, kernel_initializer=drawn(seeds)),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(output_size, kernel_initializer=drawn(seeds)),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])
