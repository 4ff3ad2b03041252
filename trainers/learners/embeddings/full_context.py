"""Full-context embeddings: what an image is embedded as depends on the whole support set.

Support images, with g' the embedding of one alone, by a bidirectional LSTM with a skip connection:

    h→_i, c→_i = LSTM(g'(x_i), h→_{i−1}, c→_{i−1})
    h←_i, c←_i = LSTM(g'(x_i), h←_{i+1}, c←_{i+1})
    g_i = h→_i + h←_i + g'(x_i)

A query x, with f' = g', by K steps of an LSTM that reads the support set:

    r_{k−1} = Σ_i softmax_i(h_{k−1} · g_i) g_i
    ĥ_k, c_k = LSTM(f'(x), [h_{k−1}, r_{k−1}], c_{k−1})
    h_k = ĥ_k + f'(x),    f = h_K

The order of the support set enters by the first LSTM. Episodes hold the images of a class one after
another, the classes in random order; a client of an export should send them so too.

Source: Vinyals et al. 2016, appendix A. It gives no start and no K. Here ĥ_0 = c_0 = 0, so that
h_0 = f'(x), and K is fixed, 3 as in the code of Ravi and Larochelle 2017 for Matching Networks. In
Keras's cell the read-out r is a further input where the paper has it beside h; the sums are the
same, their weights begin as those of inputs do.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

READS = 3


class FullContext(tf.Module):
    """The two LSTMs, called with weights from outside.

    Attributes:
      reads: K, how often a query reads the support set.
      weights: their variables; calls take one tensor for each.
    """

    def __init__(self, size: int, seed: int, reads: int = READS, dtype: str = "float32"):
        """Creates the variables.

        Args:
          size: D, numbers of an embedding.
          seed: what they are drawn by.
          reads: K.
          dtype: of an embedding, and of all that is computed of it.
        """
        super().__init__(name="full_context")
        self.reads = reads
        forward, backward, self._of_query = (
            _cell(size, seed + number, name, dtype)
            for number, name in enumerate(("forward", "backward", "of_query"))
        )
        self._of_support = keras.layers.Bidirectional(
            keras.layers.RNN(forward, return_sequences=True, dtype=dtype),
            merge_mode="sum",
            backward_layer=keras.layers.RNN(
                backward, return_sequences=True, go_backwards=True, dtype=dtype
            ),
            name="of_support",
            dtype=dtype,
        )
        self._of_support.build((1, None, size))
        self._of_query.build((None, 2 * size))
        self.weights: list[keras.Variable] = [
            *self._of_support.trainable_variables,
            *self._of_query.trainable_variables,
        ]

    def support(self, embedded: tf.Tensor, weights: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns g, [N, D], for a support set that is embedded image by image [N, D]."""
        with keras.StatelessScope(list(zip(self.weights, weights, strict=True))):
            return self._of_support(embedded[tf.newaxis])[0] + embedded

    def queries(
        self, embedded: tf.Tensor, support: tf.Tensor, weights: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns f, [M, D], for queries that are embedded image by image [M, D].

        Args:
          embedded: f'.
          support: g, [N, D].
          weights: one tensor for each of `weights`.
        """
        hidden, cell = embedded, tf.zeros_like(embedded)
        with keras.StatelessScope(list(zip(self.weights, weights, strict=True))):
            for _ in range(self.reads):
                attention = tf.nn.softmax(tf.matmul(hidden, support, transpose_b=True), axis=1)
                read = tf.matmul(attention, support)
                inputs = tf.concat([embedded, read], axis=1)
                output, (_, cell) = self._of_query(inputs, [hidden, cell])
                hidden = output + embedded
        return hidden


def _cell(size: int, seed: int, name: str, dtype: str) -> keras.layers.LSTMCell:
    return keras.layers.LSTMCell(
        size,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
        name=name,
        dtype=dtype,
    )
