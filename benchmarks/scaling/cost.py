"""What a meta-iteration on several devices should take, by what goes between them.

Each device does as many tasks as one does alone, and all of them then average the meta-gradient by
θ and by α, once a meta-iteration:

    efficiency(n) = compute / (compute + all_reduce(n))

An all-reduce of b bytes by n devices is a ring, which sends every byte 2 (n − 1) / n times in
2 (n − 1) hops one after the other, or two trees, which send it twice in 2 log₂ n hops; libraries
take the faster one, and so does this. Nothing overlaps: a meta-gradient is whole only at the end.
"""

import math
from typing import NamedTuple

HOP = 20e-6
"""Seconds from one machine to the next over Ethernet, however little is sent."""


class Shape(NamedTuple):
    """What one device does in a meta-iteration.

    Attributes:
      name: how tables call it.
      numbers: meta-trained numbers, of θ and of α.
      seconds: of compute.
    """

    name: str
    numbers: int
    seconds: float

    @property
    def bytes(self) -> int:
        """Bytes of a meta-gradient, in float32."""
        return 4 * self.numbers


def all_reduce(size: float, devices: int, bytes_a_second: float, hop: float = HOP) -> float:
    """Returns the seconds of an all-reduce.

    Args:
      size: bytes.
      devices: how many take part.
      bytes_a_second: what each can send, and receive at the same time.
      hop: seconds of a hop.
    """
    if devices == 1:
        return 0.0
    ring = 2 * (devices - 1) * (size / devices / bytes_a_second + hop)
    trees = 2 * (size / bytes_a_second + math.ceil(math.log2(devices)) * hop)
    return min(ring, trees)


def efficiency(shape: Shape, devices: int, bits_a_second: float) -> float:
    """Returns the share of the time in which devices compute."""
    return shape.seconds / (shape.seconds + all_reduce(shape.bytes, devices, bits_a_second / 8))
