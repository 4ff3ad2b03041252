"""The residual network against a forward pass written out in NumPy."""

import numpy as np

from models.resnet12 import resnet12
from tests.models.test_conv4 import max_pooled


def convolution(images, kernel):
    size = kernel.shape[0]
    edge = size // 2
    padded = np.pad(images, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    rows, columns = images.shape[1:3]
    return sum(
        padded[:, i : i + rows, j : j + columns] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def normalised(images, scale, offset):
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    return (images - mean) / np.sqrt(variance + 1e-3) * scale + offset


def forward(images, weights):
    for block in range(1, 5):

        def module(x, name, block=block):
            name = f"block_{block}_{name}"
            x = convolution(x, weights[f"{name}_conv/kernel"])
            return normalised(x, weights[f"{name}_norm/gamma"], weights[f"{name}_norm/beta"])

        x = images
        for number in ("1", "2", "3"):
            x = module(x, number)
            if number == "3":
                x = x + module(images, "shortcut")
            x = np.where(x > 0, x, 0.1 * x)
        images = max_pooled(x)
    return images.mean((1, 2)) @ weights["output/kernel"] + weights["output/bias"]


def test_outputs_are_the_hand_written_ones():
    model = resnet12((20, 17, 3), 5, seed=0)
    rng = np.random.default_rng(1)
    weights = {}
    for variable in model.trainable_variables:
        value = variable.numpy() + rng.normal(scale=0.02, size=variable.shape)
        variable.assign(value)
        weights[variable.path] = value.astype(np.float64)
    images = rng.uniform(size=(4, 20, 17, 3)).astype(np.float32)
    outputs = model(images, training=True)
    assert outputs.shape == (4, 5) and outputs.dtype == "float32"
    expected = forward(images.astype(np.float64), weights)
    assert expected.std() > 0.1
    np.testing.assert_allclose(outputs, expected, rtol=2e-3, atol=2e-3)


def test_parameters_are_counted_by_hand():
    model = resnet12((84, 84, 3), 5, seed=0)
    expected, before = 0, 3
    for width in (64, 128, 256, 512):
        expected += 9 * before * width + 2 * 9 * width**2 + before * width + 4 * 2 * width
        before = width
    learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    assert learned == expected + 512 * 5 + 5
    assert model.get_layer("block_4_pool").output.shape[1:] == (5, 5, 512)


def test_weights_follow_the_seed():
    one, same, other = [resnet12((16, 16, 1), 2, seed).get_weights() for seed in (3, 3, 4)]
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
