"""What meta-learning learns, a model's initial weights θ and its rates α, and how it is used."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.alpha import Alpha, draw_initial_value
from trainers.seeds import fold_in
from trainers.stateless.pure_model import Output, PureModel
from trainers.update_rule import Tensors, adapt, gradients

BATCH_NORMS = ("transductive", "support")
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class MetaLearner(tf.Module):
    """A Keras model that learns a task in a step or a few, by `trainers.update_rule`.

    Attributes:
      model: the Keras model; its trainable variables are θ.
      alpha: the rates α.
      inner_steps: updates that learning a task takes.
      first_order: whether the outer gradient ignores the second derivatives.
      batch_norm: one of `BATCH_NORMS`: whether batch normalisation uses the statistics of the
        examples that are predicted together, or those of the support set.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        alpha: str = "per_weight",
        alpha_init: float | None = None,
        inner_steps: int = 1,
        first_order: bool = False,
        batch_norm: str = "transductive",
        seed: int = 0,
    ):
        """Wraps a model.

        Args:
          model: any built Keras 3 model.
          loss: a Keras loss by name, function or object, of (targets, outputs).
          metrics: further scores of (targets, outputs) by name.
          alpha: one of `trainers.learners.alpha.KINDS`; `per_weight` is Meta-SGD, `fixed` is MAML.
          alpha_init: where all of α starts; drawn from [0.005, 0.1] by `seed` if not given.
          inner_steps: updates on the support set, at least 1.
          first_order: whether to ignore second derivatives.
          batch_norm: one of `BATCH_NORMS`. `transductive` is what few-shot learners' published
            numbers use; with `support` a prediction does not depend on its neighbours.
          seed: what `alpha_init` is drawn by.

        Raises:
          InputError: for an unknown `alpha` or `batch_norm`, fewer than one inner step, or a model
            without weights.
        """
        super().__init__(name="meta_learner")
        if inner_steps < 1:
            raise InputError(f"inner_steps={inner_steps}: should be at least 1")
        if batch_norm not in BATCH_NORMS:
            raise InputError(
                f"batch_norm={batch_norm!r}: should be one of {', '.join(BATCH_NORMS)}"
            )
        self.batch_norm = batch_norm
        self.model = model
        self.inner_steps = inner_steps
        self.first_order = first_order
        self.pure_model = PureModel(model)
        if alpha_init is None:
            alpha_init = draw_initial_value(seed)
        self.alpha = Alpha(alpha, self.pure_model.weights, alpha_init)
        self.scores: dict[str, Score] = {"loss": keras.losses.get(loss), **(metrics or {})}

    @property
    def theta(self) -> list[keras.Variable]:
        """The model's trainable variables."""
        return self.pure_model.weights

    def adapt(
        self,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        *,
        steps: int | None = None,
        theta: Tensors | None = None,
        rates: Tensors | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> Tensors:
        """Learns a task: returns the fast weights θ' after `steps` updates on a support set.

        A pure function of its arguments, or of θ and α as they are where those are not given.

        Args:
          inputs: the support set's inputs, [N, ...].
          targets: the support set's targets, [N, ...].
          steps: updates to make; `inner_steps` if not given.
          theta: the weights to start from, or what this function returned before.
          rates: values of `alpha.rates`.
          training: whether dropout is active. It is so in meta-training only, so that what is
            learned from a support set, and predicted by it, does not depend on chance.
          seed: [2], what dropout draws from.

        Returns:
          One tensor for each weight. Where batch normalisation uses the support set's statistics,
          these follow, as they are under the fast weights.
        """
        weights = adapt(
            self._support_loss(inputs, targets, training, seed),
            (theta or [weight.value for weight in self.theta])[: len(self.theta)],
            self.alpha.per_weight(rates or self.alpha.rates),
            self.inner_steps if steps is None else steps,
            first_order=self.first_order,
            names=self.pure_model.names,
        )
        if self.batch_norm == "transductive" or not self.pure_model.batch_norms:
            return weights
        return weights + self.pure_model(weights, inputs, training=False).statistics

    def support_gradient(self, inputs: tf.Tensor, targets: tf.Tensor) -> Tensors:
        """Returns ∇L(θ) on a support set, from which the first inner step starts.

        Args:
          inputs: [N, ...].
          targets: [N, ...].
        """
        loss = self._support_loss(inputs, targets, training=False, seed=None)
        theta = [tf.convert_to_tensor(weight.value) for weight in self.theta]
        return gradients(lambda weights: loss(weights, 0), theta, self.pure_model.names)

    def _support_loss(
        self, inputs: tf.Tensor, targets: tf.Tensor, training: bool, seed: tf.Tensor | None
    ) -> Callable[[Tensors, int], tf.Tensor]:
        def loss(weights: Tensors, step: int) -> tf.Tensor:
            step_seed = None if seed is None else fold_in(seed, step)
            scores, _ = self.score(weights, inputs, targets, training=training, seed=step_seed)
            return scores["loss"]

        return loss

    def predict(self, weights: Tensors, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the model's outputs [M, ...] for inputs [M, ...] with weights that `adapt` gave.

        Where batch normalisation uses the statistics of these inputs, they are answered together.
        """
        return self._call(weights, inputs, training=False, seed=None).outputs

    def _call(
        self, weights: Tensors, inputs: tf.Tensor, training: bool, seed: tf.Tensor | None
    ) -> Output:
        count = len(self.theta)
        return self.pure_model(
            weights[:count],
            inputs,
            training=training,
            seed=seed,
            statistics=list(weights[count:]) or None,
        )

    def score(
        self,
        weights: Tensors,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], Tensors]:
        """Returns the loss and the metrics on some examples, and the model's new state.

        Args:
          weights: one tensor for each weight of the model, or what `adapt` gave.
          inputs: [N, ...].
          targets: [N, ...].
          training: whether dropout is active.
          seed: [2], what dropout draws from.

        Returns:
          Scalars by name, the means over the examples, where `loss` includes the model's own
          losses; and new values of `pure_model.state`.
        """
        output = self._call(weights, inputs, training, seed)
        scores = {
            name: tf.reduce_mean(tf.cast(score(targets, output.outputs), output.penalty.dtype))
            for name, score in self.scores.items()
        }
        return scores | {"loss": scores["loss"] + output.penalty}, output.state
