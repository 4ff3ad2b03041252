"""The convolutional network against a forward pass written out in NumPy."""

import numpy as np
import pytest

from models.conv4 import (
    conv4,
    conv4_128,
    conv4_image_norm_64,
    conv4_layer_norm_64,
    conv4_pooled_32,
    conv4_pooled_64,
    conv4_wide_layer_norm,
)


def convolution(images, kernel, stride=2):
    """3×3, padded to ⌈size / stride⌉ with the odd row below and the odd column right."""
    count, height, width, _ = images.shape
    rows, columns = -(-height // stride), -(-width // stride)
    down, right = stride * (rows - 1) + 3 - height, stride * (columns - 1) + 3 - width
    padded = np.pad(
        images, ((0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
    )
    result = np.zeros([count, rows, columns, kernel.shape[-1]])
    for i in range(rows):
        for j in range(columns):
            patch = padded[:, stride * i : stride * i + 3, stride * j : stride * j + 3]
            result[:, i, j] = np.tensordot(patch, kernel, axes=3)
    return result


def max_pooled(images):
    """2×2; the last row or column is left out where it has no partner."""
    rows, columns = images.shape[1] // 2, images.shape[2] // 2
    images = images[:, : 2 * rows, : 2 * columns]
    return images.reshape(len(images), rows, 2, columns, 2, -1).max((2, 4))


def forward(images, weights, pooling="stride", layer_norm=False, axes=(0, 1, 2)):
    for kernel, scale, offset in zip(weights[0:12:3], weights[1:12:3], weights[2:12:3]):  # noqa: B905
        images = convolution(images, kernel, stride=2 if pooling == "stride" else 1)
        mean, variance = images.mean(axes, keepdims=True), images.var(axes, keepdims=True)
        images = np.maximum((images - mean) / np.sqrt(variance + 1e-3) * scale + offset, 0)
        images = max_pooled(images) if pooling == "max" else images
    features = images.reshape(len(images), -1)
    if layer_norm:
        scale, offset = weights[12:14]
        mean, variance = features.mean(1, keepdims=True), features.var(1, keepdims=True)
        features = (features - mean) / np.sqrt(variance + 1e-3) * scale + offset
    return features @ weights[-2] + weights[-1]


@pytest.mark.parametrize(
    ("build", "shape", "pooling"),
    [
        (conv4, (28, 28, 1), "stride"),
        (conv4, (11, 14, 3), "stride"),
        (conv4_128, (13, 13, 1), "stride"),
        (conv4_pooled_64, (28, 28, 1), "max"),
        (conv4_pooled_32, (19, 22, 3), "max"),
        (conv4_layer_norm_64, (28, 28, 1), "max"),
        (conv4_wide_layer_norm, (28, 28, 1), "max"),
        (conv4_image_norm_64, (19, 22, 3), "max"),
    ],
)
def test_outputs_are_the_hand_written_ones(build, shape, pooling):
    model = build(shape, 5, seed=0)
    rng = np.random.default_rng(1)
    weights = [
        weight.numpy().astype(np.float64) + rng.normal(scale=0.05, size=weight.shape)
        for weight in model.trainable_variables
    ]
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    images = rng.uniform(size=(6, *shape)).astype(np.float32)
    outputs = model(images, training=True)
    assert outputs.shape == (6, 5) and outputs.dtype == "float32"
    layer_norm = build in (conv4_layer_norm_64, conv4_wide_layer_norm)
    axes = (1, 2, 3) if build is conv4_image_norm_64 else (0, 1, 2)
    expected = forward(images.astype(np.float64), weights, pooling, layer_norm, axes)
    assert expected.std() > 0.1
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-3)


def test_parameters_for_omniglot_are_counted_by_hand():
    model = conv4((28, 28, 1), 5, seed=0)
    first, other, norm, linear = 9 * 64, 9 * 64 * 64, 64 + 64, 2 * 2 * 64 * 5 + 5
    learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    assert learned == first + 3 * other + 4 * norm + linear == 112_965
    assert model.count_params() == learned + 4 * (64 + 64)  # With the moving averages.
    sides = [model.get_layer(f"conv_{number}").output.shape[1] for number in (1, 2, 3, 4)]
    assert sides == [14, 7, 4, 2]
    wide = conv4_128((28, 28, 1), 5, seed=0)
    assert wide.count_params() == 9 * 128 + 3 * 9 * 128**2 + 16 * 128 + 4 * 128 * 5 + 5
    growing = conv4_wide_layer_norm((28, 28, 1), 5, seed=0)
    kernels = 9 * (64 + 64 * 64 + 64 * 128 + 128 * 256)
    assert growing.count_params() == kernels + 4 * (64 + 64 + 128 + 256) + 2 * 256 + 256 * 5 + 5


def test_parameters_for_mini_imagenet_are_counted_by_hand():
    model = conv4_pooled_32((84, 84, 3), 5, seed=0)
    learned = 27 * 32 + 3 * 9 * 32 * 32 + 4 * 64 + 5 * 5 * 32 * 5 + 5
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_variables) == learned
    sides = [model.get_layer(f"pool_{number}").output.shape[1] for number in (1, 2, 3, 4)]
    assert sides == [42, 21, 10, 5]


def test_weights_follow_the_seed():
    one, same, other = [
        [weight.numpy() for weight in conv4((28, 28, 1), 5, seed).trainable_variables]
        for seed in (3, 3, 4)
    ]
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    drawn = [0, 3, 6, 9, 12]  # The kernels; scales, offsets and the bias start at 1 or 0.
    assert all(not np.array_equal(one[n], other[n]) for n in drawn)
    assert not np.array_equal(one[3], one[6])
