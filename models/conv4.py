"""The four-module convolutional networks of the few-shot classification benchmarks."""

from typing import Literal

import keras

MODULES = 4


def conv4(
    input_shape: tuple[int, ...],
    output_size: int,
    seed: int,
    *,
    filters: int | tuple[int, int, int, int] = 64,
    pooling: Literal["stride", "max"] = "stride",
    layer_norm: bool = False,
    norm: Literal["batch", "image"] = "batch",
) -> keras.Model:
    """Builds four modules of 3×3 convolution, normalisation and ReLU, and a linear layer.

    The convolutions have no bias, which batch normalisation would cancel.

    Args:
      input_shape: height, width and channels of an image.
      output_size: number of classes.
      seed: the seed of the initial weights.
      filters: of every convolution, or of each; 64 for Omniglot and 32 for MiniImagenet in the
        papers.
      pooling: what halves an image in each module: the convolution's `stride` of 2, as in MAML's
        network for Omniglot, or 2×2 `max`-pooling after the ReLU, as everywhere else.
      layer_norm: whether the linear layer is given features that are normalised within each image,
        so that products of two images' features tell how alike these are.
      norm: whose statistics a module normalises by: those of the `batch` for each channel, or of
        all channels of each `image`, which thereby stays apart from the others.

    Returns:
      A model from `[N, *input_shape]` to logits [N, output_size], float32.

    Source: Vinyals et al. 2016, section 4.1.1; Finn et al. 2017, section 5.2.
    """
    seeds = keras.random.SeedGenerator(seed)
    layers: list[keras.Layer] = []
    of_modules = (filters,) * MODULES if isinstance(filters, int) else filters
    for module, its_filters in enumerate(of_modules, 1):
        layers += [
            keras.layers.Conv2D(
                its_filters,
                3,
                strides=2 if pooling == "stride" else 1,
                padding="same",
                use_bias=False,
                kernel_initializer=keras.initializers.GlorotUniform(seeds),
                name=f"conv_{module}",
            ),
            _normalisation(norm, name=f"norm_{module}"),
            keras.layers.ReLU(name=f"relu_{module}"),
        ]
        if pooling == "max":
            layers.append(keras.layers.MaxPooling2D(2, name=f"pool_{module}"))
    layers.append(keras.layers.Flatten(name="flatten"))
    if layer_norm:
        layers.append(keras.layers.LayerNormalization(name="layer_norm"))
    layers.append(
        keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.GlorotUniform(seeds), name="output"
        )
    )
    return keras.Sequential([keras.Input(input_shape), *layers], name="conv4")


def _normalisation(norm: str, name: str) -> keras.layers.Layer:
    if norm == "image":
        return keras.layers.GroupNormalization(groups=1, name=name)
    return keras.layers.BatchNormalization(name=name)


def conv4_pooled_64(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with 64 filters and max-pooling."""
    return conv4(input_shape, output_size, seed, filters=64, pooling="max")


def conv4_pooled_32(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with 32 filters and max-pooling, which the papers use for MiniImagenet."""
    return conv4(input_shape, output_size, seed, filters=32, pooling="max")


def conv4_layer_norm_64(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with 64 filters, max-pooling and layer normalisation of the features."""
    return conv4(input_shape, output_size, seed, filters=64, pooling="max", layer_norm=True)


def conv4_128(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with 128 filters, twice as many as the papers use for Omniglot."""
    return conv4(input_shape, output_size, seed, filters=128)


def conv4_wide_layer_norm(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with up to 256 filters, max-pooling and layer normalisation of the features.

    There are 64, 64, 128 and 256 filters, so that 28 × 28 pixels become 256 features.
    """
    filters = (64, 64, 128, 256)
    return conv4(input_shape, output_size, seed, filters=filters, pooling="max", layer_norm=True)


def conv4_image_norm_64(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `conv4` with 64 filters, max-pooling and normalisation of each image by itself."""
    return conv4(input_shape, output_size, seed, filters=64, pooling="max", norm="image")
