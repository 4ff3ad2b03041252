"""Matching Networks: the classes of the support images, weighted by how similar these are.

    a(x, x_i) = softmax_i(t · cos(f(x), f(x_i)))
    p(y | x) = Σ_i a(x, x_i) [y_i = y]

Source: Vinyals et al. 2016, section 2.1, equations 1 and 2, with f = g and without full-context
embeddings. The paper has no temperature: t = 1. Cosines lie in [−1, 1], so that the attention to
the right image of 5 can then not exceed 0.65, and training is slow; a larger t lets it.
"""

import tensorflow as tf

from trainers.learners.embedding import EmbeddingLearner

LEAST = 1e-30
"""Added to probabilities before their logarithm, for classes without an image."""


class MatchingNets(EmbeddingLearner):
    """A learner that keeps the embedded support set.

    Attributes:
      temperature: t, by which cosines are multiplied.
    """

    def __init__(self, *args, temperature: float = 1.0, **options):
        """Wraps an embedding, see `EmbeddingLearner`.

        Args:
          *args: its arguments.
          temperature: t.
          **options: its options.
        """
        super().__init__(*args, **options)
        self.temperature = temperature

    def keep(self, embedded: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the embeddings of length 1 [N, D], and their classes [N, ways]."""
        return {
            "embedded": tf.math.l2_normalize(embedded, axis=1),
            "classes": tf.cast(classes, embedded.dtype),
        }

    def logits(self, kept: dict[str, tf.Tensor], embedded: tf.Tensor) -> tf.Tensor:
        """Returns the logarithms of the classes' attention, [M, ways]."""
        queries = tf.math.l2_normalize(embedded, axis=1)
        cosines = tf.matmul(queries, kept["embedded"], transpose_b=True)
        attention = tf.nn.softmax(self.temperature * cosines, axis=1)
        return tf.math.log(tf.matmul(attention, kept["classes"]) + LEAST)
