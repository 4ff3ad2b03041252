"""Siamese Networks: whether two images are of one class, learned from pairs of them.

    p(same | x, x_i) = σ(Σ_j w_j |h_j(x) − h_j(x_i)| + b)

h is the embedding; w and b are meta-trained with it. What is minimised is the cross-entropy of
pairs, here those of a query and a support image of a task. There are `ways` − 1 times as many of
different classes as of the same, so that each kind counts one half, as in Koch's batches. A query
is of the class with the largest mean of p over its support images.

Source: Koch, Zemel and Salakhutdinov 2015, section 3. The paper has one image a class, on which the
mean is no choice. Its own network is larger than the embeddings of this project, takes images of
105×105 and is trained with affine distortions; here h is the embedding that Matching and
Prototypical Networks have, so that the rule is what differs.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.learners.embeddings.embedding_learner import ABSENT, EmbeddingLearner
from trainers.stateless.pure_model import Output

LEAST = 1e-30
"""Added to probabilities, of which the largest of a query is 1, before their logarithm."""


class SiameseNets(EmbeddingLearner):
    """A learner that keeps the embedded support set, and compares pairs.

    Attributes:
      weights: w, [D].
      bias: b, scalar.
    """

    def __init__(self, model: keras.Model, ways: int, **options: Any):
        """Wraps an embedding, see `EmbeddingLearner`; the loss is that of pairs.

        Args:
          model: the embedding.
          ways: classes of a task.
          **options: further options of `EmbeddingLearner`.
        """
        super().__init__(model, _cross_entropy, ways, **options)
        size = model.output_shape[-1]
        # Images that are far apart are different: what differs by 1 everywhere has −1.
        dtype = self.pure_model.weights[0].dtype
        start = tf.fill([size], tf.constant(-1.0 / size, dtype))
        self.weights = tf.Variable(start, name="distance_weights")
        self.bias = tf.Variable(tf.zeros([], dtype), name="distance_bias")
        self.own_variables = [self.weights, self.bias]
        for variable in self.own_variables:
            variable.path = variable.name.removesuffix(":0")  # As Keras's variables have one.

    def keep(
        self, embedded: tf.Tensor, classes: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the embeddings [N, D], and their classes [N, ways]."""
        del own
        return {"embedded": embedded, "classes": classes}

    def pairs(
        self, kept: dict[str, tf.Tensor], embedded: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns the logits of p(same) of each query and support image, [M, N]."""
        weights, bias = own
        apart = tf.abs(embedded[:, tf.newaxis] - kept["embedded"])
        return tf.tensordot(apart, weights, axes=1) + bias

    def logits(
        self, kept: dict[str, tf.Tensor], embedded: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns the logarithms of the classes' means of p(same), [M, ways]."""
        same = tf.math.log_sigmoid(self.pairs(kept, embedded, own))
        # As far from 0 as it may be, so that none of the means is lost to rounding.
        largest = tf.reduce_max(same, axis=1, keepdims=True)
        counts = tf.reduce_sum(kept["classes"], axis=0)
        means = tf.matmul(tf.exp(same - largest), kept["classes"]) / tf.maximum(counts, 1.0)
        return tf.where(counts > 0, tf.math.log(means + LEAST) + largest, ABSENT)

    def means_of_queries(
        self,
        kept: dict[str, tf.Tensor],
        queries: Output,
        targets: tf.Tensor,
        own: Sequence[tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Returns the loss of pairs, and the metrics of the queries, see `Learner.score`."""
        same = tf.gather(kept["classes"], targets, axis=1)  # [N, M]
        loss = self.scores["loss"](same, tf.transpose(self.pairs(kept, queries.outputs, own)))
        halves = (
            tf.math.divide_no_nan(tf.reduce_sum(loss * kind), tf.reduce_sum(kind))
            for kind in (same, 1.0 - same)
        )
        logits = self.logits(kept, queries.outputs, own)
        return self.means(targets, logits, queries.penalty, loss=0.5 * tf.add_n(list(halves)))


def _cross_entropy(same: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(same, logits)
