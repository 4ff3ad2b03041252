"""N-way K-shot classification of pictures kept by class (Li et al. 2017, Tables 2 and 3)."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from matplotlib import figure

from metasgd_tf import pictures
from trainers.episodes import Episode, Protocol, TaskFamily
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform

EVALUATION_TASKS = 600
EVALUATION_QUERIES = 15


class PictureClassification(TaskFamily):
    """Tasks of `ways` classes with `shots` support and `queries` query pictures of each.

    Targets number the classes of a task in the random order in which they were drawn.
    """

    metric = "accuracy"
    metric_mode = "max"

    def __init__(self, pictures: Mapping[str, np.ndarray], ways: int, shots: int, queries: int):
        """Sets the sizes.

        Args:
          pictures: for each split [classes, pictures a class, height, width, channels], uint8.
          ways: classes of a task.
          shots: support pictures of a class.
          queries: query pictures of a class in training.

        Raises:
          InputError: if a split has too few classes, or its classes too few pictures.
        """
        for split, images in pictures.items():
            classes, drawings = images.shape[:2]
            if ways > classes:
                raise InputError(
                    f"ways={ways}: the {split} split has {classes} classes; ask for no more"
                )
            if shots + queries > drawings:
                raise InputError(
                    f"shots={shots} and queries={queries}: together they should not exceed the "
                    f"{drawings} pictures that each class has"
                )
        self._pictures = {split: tf.constant(images) for split, images in pictures.items()}
        self.metrics = {"accuracy": keras.metrics.sparse_categorical_accuracy}
        self.ways, self.shots, self.queries = ways, shots, queries
        self.output_size = ways
        self.input_shape = next(iter(pictures.values())).shape[2:]

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy of each example, [N], for logits [N, ways]."""
        return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws a task; inputs [ways · shots, height, width, channels] in [0, 1], targets int32."""
        return self._draw(seed, split, self.shots, self.queries)

    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the one protocol: `num_tasks` (600) tasks with the shots of training."""
        return [Protocol(self.shots, num_tasks or EVALUATION_TASKS, repeats=1)]

    def evaluation_episode(
        self, seed: tf.Tensor, split: str, protocol: Protocol, task: tf.Tensor, repeat: tf.Tensor
    ) -> Episode:
        """Draws a task with 15 queries a class, or as many as its pictures leave."""
        del repeat
        queries = min(EVALUATION_QUERIES, self._pictures[split].shape[1] - protocol.shots)
        return self._draw(fold_in(seed, task), split, protocol.shots, queries)

    def picture(self, episode: Episode, before: np.ndarray, after: np.ndarray) -> figure.Figure:
        """Draws the support set and some queries, with the classes that are predicted."""
        return pictures.classification(episode, before, after)

    def _draw(self, seed: tf.Tensor, split: str, shots: int, queries: int) -> Episode:
        pictures = self._pictures[split]
        classes, drawings = pictures.shape[:2]
        chosen = _without_replacement(fold_in(seed, 0), [classes], self.ways)
        shown = _without_replacement(fold_in(seed, 1), [self.ways, drawings], shots + queries)
        index = tf.stack([tf.broadcast_to(chosen[:, tf.newaxis], shown.shape), shown], axis=-1)
        images = tf.cast(tf.gather_nd(pictures, index), tf.float32) * (1.0 / 255.0)
        targets = tf.range(self.ways)
        return Episode(
            tf.reshape(images[:, :shots], [-1, *self.input_shape]),
            tf.repeat(targets, shots),
            tf.reshape(images[:, shots:], [-1, *self.input_shape]),
            tf.repeat(targets, queries),
        )


def _without_replacement(seed: tf.Tensor, shape: list[int], count: int) -> tf.Tensor:
    """Returns `count` different numbers below the last of `shape`, [..., count] (int32)."""
    return tf.math.top_k(uniform(seed, shape), count).indices
