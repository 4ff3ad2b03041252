"""Few-shot regression on sine curves (Li et al. 2017, Table 1)."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from matplotlib import figure

from metasgd_tf.drawing import episodes
from models.mlp import mlp
from trainers.episodes import Episode, Protocol
from trainers.seeds import fold_in, uniform
from trainers.task_family import TaskFamily

INPUT_RANGE = (-5.0, 5.0)
EVALUATION_SHOTS = (5, 10, 20)
EVALUATION_CURVES = 100
EVALUATION_REPEATS = 100
EVALUATION_QUERIES = 100


class Sinusoid(TaskFamily):
    """Curves y = A sin(ωx + b) with A ~ U[0.1, 5], ω ~ U[0.8, 1.2], b ~ U[0, π], x ~ U[−5, 5].

    The splits are the same distribution, drawn from under different seeds.
    """

    input_shape = (1,)
    output_size = 1
    metric = "mse"
    metric_mode = "min"

    def __init__(self, shots: int, queries: int, fixed_frequency: bool = False):
        """Sets the sizes.

        Args:
          shots: support points of a task.
          queries: query points of a task in training.
          fixed_frequency: whether ω is 1, as in Finn et al. 2017, section 5.1.
        """
        self.shots = shots
        self.queries = queries
        self.frequencies = (1.0, 1.0) if fixed_frequency else (0.8, 1.2)
        self.metrics = {"mse": keras.losses.mean_squared_error}

    def model(self, seed: int) -> keras.Model:
        """Builds the paper's regressor, 1-40-40-1."""
        return mlp(self.input_shape, self.output_size, seed)

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the squared error of each example, [N]."""
        return keras.losses.mean_squared_error(targets, outputs)

    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws a curve and its points; inputs and targets are [N, 1], float32."""
        del split
        # One draw for all, since launching one costs as much as the rest of a step's arithmetic.
        numbers = uniform(seed, [3 + self.shots + self.queries])
        inputs = _inputs(numbers[3:])
        targets = self.targets(numbers[:3], inputs)
        k = self.shots
        return Episode(inputs[:k], targets[:k], inputs[k:], targets[k:])

    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the paper's: 5, 10 and 20 shots, 100 curves, 100 support sets of each."""
        curves = num_tasks or EVALUATION_CURVES
        return [Protocol(shots, curves, EVALUATION_REPEATS) for shots in EVALUATION_SHOTS]

    def evaluation_episode(
        self, seed: tf.Tensor, split: str, protocol: Protocol, task: tf.Tensor, repeat: tf.Tensor
    ) -> Episode:
        """Draws support points of a curve, with 100 evenly spaced query points on [−5, 5]."""
        del split
        curve = uniform(fold_in(seed, task), [3])
        repeat_seed = fold_in(seed, task, repeat, protocol.shots)
        support = _inputs(uniform(repeat_seed, [protocol.shots]))
        query = tf.linspace(*INPUT_RANGE, EVALUATION_QUERIES)[:, tf.newaxis]
        return Episode(support, self.targets(curve, support), query, self.targets(curve, query))

    def draw(self, episode: Episode, before: np.ndarray, after: np.ndarray) -> figure.Figure:
        """Draws the curve, its support points and the two fits."""
        return episodes.fit(episode, before, after)

    def targets(self, curve: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the curve's values at `inputs`, of their shape.

        Args:
          curve: three numbers in [0, 1) that set amplitude, frequency and phase, [3].
          inputs: any shape, float32.
        """
        amplitude = 0.1 + 4.9 * curve[0]
        low, high = self.frequencies
        frequency = low + (high - low) * curve[1]
        phase = math.pi * curve[2]
        return amplitude * tf.sin(frequency * inputs + phase)


def _inputs(numbers: tf.Tensor) -> tf.Tensor:
    """Maps numbers [N] in [0, 1) to inputs [N, 1] in `INPUT_RANGE`."""
    low, high = INPUT_RANGE
    return low + (high - low) * numbers[:, tf.newaxis]


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> Sinusoid:
    """Makes the family that the flags of a run describe."""
    del splits
    return Sinusoid(settings.shots, settings.queries, settings.fixed_frequency)
