"""ResNet-12 once for JAX and PyTorch: the order of its operations on the weights that Keras has.

Its blocks keep their weights in the order of `models.resnet12`'s trainable variables: the first two
convolutions each with γ and β, the filters of the third and of the shortcut, and then γ and β of
the third and of the shortcut.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

BLOCKS = 4
PER_BLOCK = 12
WEIGHTS = BLOCKS * PER_BLOCK + 2
"""The weights of the network, those of its linear layer included."""


class Operations(NamedTuple):
    """What a framework computes the network with.

    Attributes:
      convolve: (images, filters) to images of the same height and width; filters are 3×3 or 1×1.
      normalise: (images, γ, β) to images, by their own statistics.
      leaky_relu: max(x, 0.1 x).
      pool: 2×2 max-pooling, which leaves out a last odd row or column.
      mean: images to the means of their channels, [images, channels].
    """

    convolve: Callable[[Any, Any], Any]
    normalise: Callable[[Any, Any, Any], Any]
    leaky_relu: Callable[[Any], Any]
    pool: Callable[[Any], Any]
    mean: Callable[[Any], Any]


def logits(weights: Sequence[Any], x: Any, by: Operations) -> Any:
    """Returns the logits [images, ways] of images in the framework's own order of axes."""
    for block in range(BLOCKS):
        held = weights[PER_BLOCK * block : PER_BLOCK * (block + 1)]
        first, second, (third, shortcut, *norms) = held[:3], held[3:6], held[6:]
        beside = by.normalise(by.convolve(x, shortcut), *norms[2:])
        for filters, gamma, beta in (first, second):
            x = by.leaky_relu(by.normalise(by.convolve(x, filters), gamma, beta))
        x = by.normalise(by.convolve(x, third), *norms[:2])
        x = by.pool(by.leaky_relu(x + beside))
    return by.mean(x) @ weights[-2] + weights[-1]
