"""Matching Networks: the classes of the support images, weighted by how similar these are.

    a(x, x_i) = softmax_i(t · cos(f(x), g(x_i)))
    p(y | x) = Σ_i a(x, x_i) [y_i = y]

Source: Vinyals et al. 2016, section 2.1, equations 1 and 2. Without full-context embeddings f = g
is the embedding of one image; with them both depend on the whole support set, the order of its
images included (`full_context`, beside this module). The paper has no temperature: t = 1. Cosines
lie in [−1, 1], so that the attention to the right image of 5 can then not exceed 0.65, and training
is slow; a larger t lets it.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainers.learners.embeddings.embedding_learner import EmbeddingLearner
from trainers.learners.embeddings.full_context import FullContext

LEAST = 1e-30
"""The attention that a class without an image is given, so that its logarithm is finite."""


class MatchingNets(EmbeddingLearner):
    """A learner that keeps the embedded support set.

    Attributes:
      temperature: t, by which cosines are multiplied.
      context: the full-context embeddings; None without them.
    """

    def __init__(
        self,
        *args: Any,
        temperature: float = 1.0,
        full_context: bool = False,
        seed: int = 0,
        **options: Any,
    ):
        """Wraps an embedding, see `EmbeddingLearner`.

        Args:
          *args: its arguments.
          temperature: t.
          full_context: whether embeddings depend on the whole support set.
          seed: what the weights of `context` are drawn by.
          **options: its options.
        """
        super().__init__(*args, **options)
        self.temperature = temperature
        self.context: FullContext | None = None
        if full_context:
            size, dtype = self.model.output_shape[-1], self.pure_model.weights[0].dtype
            self.context = FullContext(size, seed, dtype=dtype)
            self.own_variables = list(self.context.weights)

    def keep(
        self, embedded: tf.Tensor, classes: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the embeddings [N, D], and their classes [N, ways]."""
        if self.context is not None:
            embedded = self.context.support(embedded, own)
        return {"embedded": embedded, "classes": classes}

    def logits(
        self, kept: dict[str, tf.Tensor], embedded: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns the logarithms of the classes' attention, [M, ways]."""
        if self.context is not None:
            embedded = self.context.queries(embedded, kept["embedded"], own)
        queries, support = (
            tf.math.l2_normalize(rows, axis=1) for rows in (embedded, kept["embedded"])
        )
        scaled = self.temperature * tf.matmul(support, queries, transpose_b=True)  # [N, M]
        of_classes = _log_sums(scaled, kept["classes"])
        return tf.transpose(
            tf.where(
                tf.reduce_any(kept["classes"] > 0, axis=0)[:, tf.newaxis],
                of_classes - tf.reduce_logsumexp(scaled, axis=0),
                tf.math.log(tf.constant(LEAST, scaled.dtype)),
            )
        )


def _log_sums(scaled: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Returns log Σ exp of the rows of each class, [ways, M]; any numbers for one without a row.

    Of a class that is far from a query every exponential may be 0, so that each class has its own
    largest number taken out.

    Args:
      scaled: [N, M].
      classes: [N, ways], ones and zeros.
    """
    numbers, ways = tf.argmax(classes, axis=1), classes.shape[1]
    largest = tf.stop_gradient(tf.math.unsorted_segment_max(scaled, numbers, ways))
    sums = tf.matmul(classes, tf.exp(scaled - tf.gather(largest, numbers)), transpose_a=True)
    return tf.math.log(tf.maximum(sums, LEAST)) + largest
