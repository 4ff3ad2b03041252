"""Regression tasks of your own: straight lines, learned from a few points.

python -m metasgd_tf.train --task=examples.lines:lines --shots=3 --model_dir=runs/lines
"""

import keras
import tensorflow as tf
from absl import flags

from models.mlp import mlp
from trainers import Episode, TaskFamily
from trainers.seeds import fold_in, uniform


class Lines(TaskFamily):
    """Lines y = a x + b with a, b ~ U[−2, 2] and x ~ U[−1, 1]."""

    input_shape = (1,)
    output_size = 1
    metric = "mse"
    metric_mode = "min"

    def __init__(self, shots: int, queries: int):
        """Sets how many points a task has."""
        self.shots, self.queries = shots, queries
        self.metrics = {"mse": keras.losses.mean_squared_error}

    def model(self, seed: int) -> keras.Model:
        """Builds a small network; --model names another."""
        return mlp(self.input_shape, self.output_size, seed)

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the squared error of each example, [N]."""
        return keras.losses.mean_squared_error(targets, outputs)

    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws a line and its points; the splits differ in nothing but their seeds."""
        # Unlike most of TensorFlow's draws, `uniform` gives the same numbers with and without XLA.
        a, b = tf.unstack(4 * uniform(fold_in(seed, 0), [2]) - 2)
        x = 2 * uniform(fold_in(seed, 1), [self.shots + self.queries, 1]) - 1
        y = a * x + b
        k = self.shots
        return Episode(x[:k], y[:k], x[k:], y[k:])


def lines(settings: flags.FlagValues, splits: tuple[str, ...]) -> Lines:
    """Makes the task family that a run's flags describe."""
    return Lines(settings.shots, settings.queries)
