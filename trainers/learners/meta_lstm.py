"""Meta-LSTM: an LSTM computes the updates of a network's weights, whose start is learned too.

    θ_t = f_t ⊙ θ_{t−1} − i_t ⊙ ∇L(θ_{t−1})

The gates f and i are computed for each coordinate of θ from ∇L, L, θ_{t−1} and what they were, by
`models.meta_lstm_cell`, which all coordinates share. What is meta-trained is that cell and θ_0, its
initial state; its hidden states start at 0.

∇L and L are constants to the meta-gradient, as in the paper, section 3.4: it takes no second
derivatives, and reaches earlier steps through θ and through the gates.

Source: Ravi and Larochelle 2017, Algorithm 1. Each step takes the whole support set, as in the
authors' code for 5 ways: 12 steps on 5 images for 1 shot, 8 on 25 for 5 shots. Batch normalisation
uses the statistics of the batch or of the support set, so that those of a task never reach the
next; the authors' code collects moving averages over a task's steps for its test queries.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from models.meta_lstm_cell import MetaLSTMCell
from trainers.learners.fast_weights import FastWeightsLearner
from trainers.stateless.scores import Score
from trainers.update_rule import Tensors, loss_and_gradients

UNITS = 20
PRECISION = 10.0
"""p: numbers below e^−p in size are preprocessed by another formula."""


class MetaLstm(FastWeightsLearner):
    """A Keras model whose weights are the state of a learned recurrent cell.

    Attributes:
      cell: computes the updates.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        inner_steps: int = 12,
        batch_norm: str = "transductive",
        seed: int = 0,
    ):
        """Wraps a model, see `FastWeightsLearner`.

        Args:
          model: any built Keras 3 model.
          loss: as `FastWeightsLearner` takes it.
          metrics: further scores of (targets, outputs) by name.
          inner_steps: updates on the support set, at least 1.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`.
          seed: the seed of the cell's initial values.

        Raises:
          InputError: as `FastWeightsLearner` does.
        """
        super().__init__(
            model, loss, metrics=metrics, inner_steps=inner_steps, batch_norm=batch_norm
        )
        self.cell = MetaLSTMCell(UNITS, seed, dtype=self.theta[0].dtype)
        self._shapes = [tuple(weight.shape) for weight in self.theta]
        self._sizes = [math.prod(shape) for shape in self._shapes]

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """θ_0, the model's weights, and the cell's."""
        return [*self.theta, *self.cell.trainable_variables]

    def fast_weights(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> list[Tensors]:
        """Returns θ_0 and the weights after each of `steps` updates."""
        given = [tf.convert_to_tensor(value) for value in values or self.meta_variables]
        theta, learned = given[: len(self.theta)], given[len(self.theta) :]
        support_loss = self._support_loss(inputs, targets, training, seed)
        made = [theta]
        state = self.cell.initial_state(_flat(theta))
        for step in range(steps):
            loss, gradient = loss_and_gradients(
                lambda weights, step=step: support_loss(weights, step),  # type: ignore[misc]
                [tf.stop_gradient(weight) for weight in made[-1]],  # So L and ∇L are constants.
                self.pure_model.names,
            )
            row = _flat(gradient)
            (row_of_theta, state), _ = self.cell.stateless_call(
                learned, self.cell.non_trainable_variables, [_features(loss, row), row], state
            )
            made.append(self._unflattened(row_of_theta))
        return made

    def _unflattened(self, row: tf.Tensor) -> Tensors:
        parts = tf.split(row, self._sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]


def _flat(weights: Tensors) -> tf.Tensor:
    """Returns the coordinates of all weights in a row, [P]."""
    return tf.concat([tf.reshape(weight, [-1]) for weight in weights], axis=0)


def preprocessed(x: tf.Tensor) -> tf.Tensor:
    """Splits numbers into their size and their sign, [..., 2].

    These are `(log|x| / p, sign x)` where `|x| ≥ e^−p`, and `(−1, e^p x)` for smaller ones.

    Source: Andrychowicz et al. 2016, appendix A, which Ravi and Larochelle take with p = 10.
    """
    size = tf.math.log(tf.maximum(tf.abs(x), math.exp(-PRECISION))) / PRECISION
    return tf.stack([size, tf.clip_by_value(x * math.exp(PRECISION), -1.0, 1.0)], axis=-1)


def _features(loss: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Returns what the cell is given of a step: of the loss and of each coordinate, [P, 4]."""
    of_gradient = preprocessed(gradient)
    of_loss = preprocessed(tf.cast(loss, gradient.dtype))
    return tf.concat([tf.broadcast_to(of_loss, tf.shape(of_gradient)), of_gradient], axis=1)
