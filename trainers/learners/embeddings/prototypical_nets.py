"""Prototypical Networks: the class whose mean embedding is the nearest.

    c_k = mean of f(x_i) over class k's support images
    p(k | x) = softmax_k(−‖f(x) − c_k‖²)

Source: Snell, Swersky and Zemel 2017, equations 1 and 2. Support and query set are embedded as two
batches, so that batch normalisation uses the statistics of each, or for both those of the support
set; the authors' own code uses moving averages when it evaluates.
"""

from collections.abc import Sequence

import tensorflow as tf

from trainers.learners.embeddings.embedding_learner import ABSENT, EmbeddingLearner


class PrototypicalNets(EmbeddingLearner):
    """A learner that keeps the mean embedding of each class."""

    def keep(
        self, embedded: tf.Tensor, classes: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the prototypes [ways, D], and how many images each is the mean of [ways]."""
        del own
        counts = tf.reduce_sum(classes, axis=0)
        sums = tf.matmul(classes, embedded, transpose_a=True)
        return {"prototypes": sums / tf.maximum(counts, 1.0)[:, tf.newaxis], "counts": counts}

    def logits(
        self, kept: dict[str, tf.Tensor], embedded: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns minus the squared distance of each query to each prototype, [M, ways]."""
        del own
        distances = squared_distances(embedded, kept["prototypes"])
        return tf.where(kept["counts"] > 0, -distances, ABSENT)


def squared_distances(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Returns ‖a_i − b_j‖², [M, N], for vectors [M, D] and [N, D]."""
    products = tf.matmul(a, b, transpose_b=True)
    norms = tf.reduce_sum(a * a, 1)[:, tf.newaxis] + tf.reduce_sum(b * b, 1)
    return norms - 2.0 * products
