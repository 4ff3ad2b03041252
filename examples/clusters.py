"""Classification tasks of your own, from NumPy arrays: measurements of 40 kinds.

python -m metasgd_tf.train --task=examples.clusters:clusters --ways=5 --shots=2 \
        --model_dir=runs/clusters
"""

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from models.mlp import mlp
from trainers import Episode, TaskFamily
from trainers.seeds import fold_in, uniform

KINDS = {"train": slice(0, 24), "validation": slice(24, 32), "test": slice(32, 40)}


def measurements() -> np.ndarray:
    """Returns [kinds, examples, features]; read your own file here."""
    random = np.random.default_rng(0)
    return random.normal(size=(40, 1, 8)) + 0.5 * random.normal(size=(40, 30, 8))


class Clusters(TaskFamily):
    """Tasks of telling `ways` kinds apart by their measurements."""

    input_shape = (8,)
    metric, metric_mode = "accuracy", "max"
    classifies = True

    def __init__(self, ways: int, shots: int, queries: int, splits: tuple[str, ...]):
        """Keeps the data of the splits that episodes will be drawn from."""
        self.output_size, self.shots, self.queries = ways, shots, queries
        self.metrics = {"accuracy": keras.metrics.sparse_categorical_accuracy}
        data = measurements().astype(np.float32)
        self.held = {split: tf.constant(data[KINDS[split]]) for split in splits}

    def model(self, seed: int) -> keras.Model:
        """Builds a small network that gives a logit for each class."""
        return mlp(self.input_shape, self.output_size, seed)

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy of each example, [N]."""
        return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws different kinds, then different examples of each."""
        held, k, n = self.held[split], self.shots, self.shots + self.queries
        kinds = tf.math.top_k(uniform(seed, [held.shape[0]]), self.output_size).indices
        rows = tf.math.top_k(uniform(fold_in(seed, 1), [held.shape[1]]), n).indices
        x = tf.gather(tf.gather(held, kinds), rows, axis=1)
        labels = tf.range(self.output_size)
        flat = [tf.reshape(part, [-1, 8]) for part in (x[:, :k], x[:, k:])]
        return Episode(flat[0], tf.repeat(labels, k), flat[1], tf.repeat(labels, n - k))


def clusters(settings: flags.FlagValues, splits: tuple[str, ...]) -> Clusters:
    """Makes the task family that a run's flags describe."""
    return Clusters(settings.ways, settings.shots, settings.queries, splits)
