"""ResNet-12, the residual network of the few-shot classification benchmarks."""

import keras

WIDTHS: tuple[int, ...] = (64, 128, 256, 512)
CONVOLUTIONS = 3


def resnet12(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds four residual blocks, global average pooling and a linear layer.

    A block has three 3×3 convolutions and, as its shortcut, a 1×1 convolution, each with batch
    normalisation, LeakyReLU of slope 0.1, and 2×2 max-pooling at its end. There is no dropout.

    Args:
      input_shape: height, width and channels of an image, at least 16 pixels a side.
      output_size: number of classes.
      seed: the seed of the initial weights.

    Returns:
      A model from `[N, *input_shape]` to logits [N, output_size], float32.

    Source: Oreshkin et al. 2018 (TADAM), supplementary material, whose widths these are.
    """
    seeds = keras.random.SeedGenerator(seed)
    inputs = keras.Input(input_shape)
    x = inputs
    for number, width in enumerate(WIDTHS, start=1):
        x = _block(x, width, seeds, f"block_{number}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(
        output_size, kernel_initializer=keras.initializers.GlorotUniform(seeds), name="output"
    )(x)
    return keras.Model(inputs, outputs, name="resnet12")


def _block(
    x: keras.KerasTensor, width: int, seeds: keras.random.SeedGenerator, name: str
) -> keras.KerasTensor:
    shortcut = _convolution(x, width, 1, seeds, f"{name}_shortcut")
    for number in range(1, CONVOLUTIONS + 1):
        x = _convolution(x, width, 3, seeds, f"{name}_{number}")
        if number == CONVOLUTIONS:
            x = keras.layers.Add(name=f"{name}_sum")([x, shortcut])
        x = keras.layers.LeakyReLU(0.1, name=f"{name}_{number}_relu")(x)
    return keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def _convolution(
    x: keras.KerasTensor, width: int, size: int, seeds: keras.random.SeedGenerator, name: str
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        width,
        size,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seeds),
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)
