"""What is measured: the cases, and the data and initial weights that every system shares.

NumPy only, so that a process that measures one framework never loads another.
"""

import dataclasses
import itertools
from typing import Literal

import numpy as np

# Meta-SGD's settings, equal for all systems: alpha's initial value, and Adam as outer optimizer.
ALPHA = 0.02
OUTER_LEARNING_RATE = 1e-3
ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8
BATCH_NORM_EPSILON = 1e-3

# y = A sin(wx + b), with the ranges of Table 1 (arXiv:1707.09835).
AMPLITUDE = (0.1, 5.0)
FREQUENCY = (0.8, 1.2)
PHASE = (0.0, float(np.pi))
INPUT = (-5.0, 5.0)
HIDDEN_UNITS = 40

# 2D navigation: goals in the square of this half side around the start, an action of 1 moves by
# STEP and no action by more, and an episode ends where both coordinates are this close to the goal
# (section 5.3 of arXiv:1703.03400 and its published code).
HALF_SIDE = 0.5
STEP = 0.1
REACHED = 0.01
POLICY_UNITS = 100
# Advantages: gamma and lambda, and for the baseline's fit the ridge and the unit of time in steps.
DISCOUNT, TRACE = 0.99, 1.0
RIDGE, TIME_UNIT = 1e-5, 100.0

CONV_LAYERS = 4
POOL_CLASSES = 200
POOL_DRAWINGS = 20


@dataclasses.dataclass(frozen=True)
class Case:
    """One few-shot problem and the network that learns it.

    Attributes:
      name: The name that `--cases` takes.
      kind: `regression` (sine curves, an MLP 1-40-40-1), `classification` (images, four
        convolutions and a linear layer) or `reinforcement` (2D navigation, a policy 2-100-100-2
        with a log standard deviation a coordinate).
      tasks: Tasks in a meta-batch.
      shots: Support points a task, or support images a class, or trajectories a task before the
        inner step.
      queries: Query points a task, or query images a class, or trajectories a task after the inner
        step, as many as `shots`.
      ways: Classes a task.
      image_size: Height and width of an image, in pixels.
      channels: Channels of an image.
      filters: Filters of each convolution.
      pooling: How each of the four modules halves its input: `stride` (a convolution of
        stride 2) or `max` (a convolution of stride 1, then 2x2 max-pooling).
      horizon: Steps of a trajectory.
    """

    name: str
    kind: Literal["regression", "classification", "reinforcement"]
    tasks: int
    shots: int
    queries: int
    ways: int = 0
    image_size: int = 0
    channels: int = 0
    filters: int = 0
    pooling: Literal["stride", "max"] = "stride"
    horizon: int = 0

    @property
    def widths(self) -> list[int]:
        """Widths of the fully connected network's layers, its input's first."""
        if self.kind == "regression":
            return [1, HIDDEN_UNITS, HIDDEN_UNITS, 1]
        assert self.kind == "reinforcement"
        return [2, POLICY_UNITS, POLICY_UNITS, 2]

    @property
    def features(self) -> int:
        """Numbers an image that enter the linear layer: height x width x filters."""
        size = self.image_size
        for _ in range(CONV_LAYERS):
            # A padded convolution of stride 2 rounds up, 2x2 max-pooling rounds down.
            size = (size + 1) // 2 if self.pooling == "stride" else size // 2
        return size * size * self.filters


_OMNIGLOT = Case(
    name="omniglot",
    kind="classification",
    tasks=32,
    ways=5,
    shots=1,
    queries=1,
    image_size=28,
    channels=1,
    filters=64,
    pooling="stride",
)

CASES = {
    case.name: case
    for case in (
        Case(name="sinusoid", kind="regression", tasks=4, shots=5, queries=5),
        _OMNIGLOT,
        dataclasses.replace(_OMNIGLOT, name="omniglot_maxpool", pooling="max"),
        Case(
            name="mini_imagenet",
            kind="classification",
            tasks=4,
            ways=5,
            shots=1,
            queries=15,
            image_size=84,
            channels=3,
            filters=32,
            pooling="max",
        ),
        Case(name="navigation", kind="reinforcement", tasks=40, shots=20, queries=20, horizon=100),
    )
}


def initial_weights(case: Case, seed: int = 0) -> list[np.ndarray]:
    """Draws the initial theta: Glorot uniform matrices and filters, zero biases.

    The convolutions have no bias, which the batch normalisation after them would cancel.

    Args:
      case: The case whose network is wanted.
      seed: Seed of the draw.

    Returns:
      float32 arrays in the order of the layers. For regression three pairs of matrix `[in, out]`
      and bias `[out]`, for reinforcement too and then the log standard deviations `[2]`, zeros; for
      classification four triples of filters `[3, 3, in, out]`, batch-normalisation scale `[out]`
      and offset `[out]`, then matrix and bias.
    """
    rng = np.random.default_rng(seed)

    def glorot(*shape: int) -> np.ndarray:
        receptive = int(np.prod(shape[:-2]))
        bound = np.sqrt(6.0 / (receptive * (shape[-2] + shape[-1])))
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    def zeros(size: int) -> np.ndarray:
        return np.zeros(size, np.float32)

    if case.kind != "classification":
        pairs = itertools.pairwise(case.widths)
        layers = [w for fan_in, out in pairs for w in (glorot(fan_in, out), zeros(out))]
        return layers if case.kind == "regression" else [*layers, zeros(case.widths[-1])]
    weights: list[np.ndarray] = []
    channels = case.channels
    for _ in range(CONV_LAYERS):
        weights.append(glorot(3, 3, channels, case.filters))
        weights += [np.ones(case.filters, np.float32), zeros(case.filters)]
        channels = case.filters
    return [*weights, glorot(case.features, case.ways), zeros(case.ways)]


def image_pool(case: Case, seed: int = 0) -> np.ndarray:
    """Makes the images that every system draws its episodes from.

    A class is a coarse random pattern and its drawings are that pattern under noise, so a
    learner that works brings the loss down; the images mean nothing beyond that.

    Args:
      case: A classification case.
      seed: Seed of the pool; the same seed gives the same bytes.

    Returns:
      uint8 array `[200 classes, 20 drawings, image_size, image_size, channels]`, 0 to 255.
    """
    rng = np.random.default_rng(seed)
    size, cells = case.image_size, 7
    pattern = rng.integers(0, 2, (POOL_CLASSES, 1, cells, cells, case.channels)) * 160 + 48
    nearest = np.arange(size) * cells // size
    pattern = pattern[:, :, nearest][:, :, :, nearest].astype(np.int16)
    shape = (POOL_CLASSES, POOL_DRAWINGS, size, size, case.channels)
    noise = rng.integers(-96, 97, shape, dtype=np.int16)
    return np.clip(pattern + noise, 0, 255).astype(np.uint8)
