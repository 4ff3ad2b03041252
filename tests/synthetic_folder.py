"""A made-up folder of images, one sub-folder a class.

A class is a colour and a direction of stripes, which its images vary a little; so no two images
are alike, and classes can be learned.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 18, 24


def write(root: pathlib.Path, counts: Mapping[str, int]) -> None:
    """Writes for each class as many PNGs as `counts` says, `0.png` and so on."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index, pixels in enumerate(images(number, count)):
            Image.fromarray(pixels).save(root / name / f"{index}.png")


def images(number: int, count: int) -> np.ndarray:
    """Returns images of a class, [count, 18, 24, 3] (uint8)."""
    rng = np.random.default_rng(number)
    colour, angle = rng.uniform(60, 195, 3), rng.uniform(0, np.pi)
    y, x = np.indices([HEIGHT, WIDTH])
    across = x * np.cos(angle) + y * np.sin(angle)
    stripes = 30 * np.sin(across + rng.uniform(0, 2 * np.pi, [count, 1, 1]))
    noise = rng.uniform(-10, 10, [count, HEIGHT, WIDTH, 3])
    return (colour + stripes[..., np.newaxis] + noise).astype(np.uint8)
