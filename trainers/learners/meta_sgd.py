"""The learner of Meta-SGD and MAML: a model's initial weights θ, the rates α, and adaptation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.episodes import Episode, is_finite
from trainers.errors import InputError
from trainers.learners.alpha import Alpha, draw_initial_value
from trainers.learners.learner import Learner, Score
from trainers.seeds import fold_in
from trainers.stateless.batch_norm import refuse_unknown
from trainers.stateless.pure_model import Output, PureModel
from trainers.update_rule import Tensors, adapt, gradients


class MetaLearner(Learner):
    """A Keras model that learns a task in one or a few steps, by `trainers.update_rule`.

    Meta-SGD, MAML and their relatives (Li et al. 2017; Finn et al. 2017): what is meta-trained is θ
    and, where it is learned, α; the state of a task is its fast weights θ'.

    Attributes:
      model: the Keras model; its trainable variables are θ.
      alpha: the rates α.
      inner_steps: updates to learn a task.
      first_order: whether the outer gradient ignores the second derivatives.
      adapted: the numbers of the weights that inner steps change, in the order of `theta`.
      batch_norm: whose statistics batch normalisation uses, one of
        `trainers.stateless.batch_norm.BATCH_NORMS`.
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
        adapted: Sequence[int] | None = None,
        seed: int = 0,
    ):
        """Wraps a model.

        Args:
          model: any built Keras 3 model.
          loss: a Keras loss by name, function or object, of (targets, outputs). For a model of
            several outputs it is a function that takes them in the model's own structure.
          metrics: further scores of (targets, outputs) by name.
          alpha: one of `trainers.learners.alpha.KINDS`; `per_weight` is Meta-SGD, `fixed` is MAML.
          alpha_init: initial value of all of α; drawn from [0.005, 0.1] by `seed` if not given.
          inner_steps: updates on the support set, at least 1.
          first_order: whether to ignore second derivatives.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`. `transductive` is common
            in published few-shot results; with `support` a prediction does not depend on the other
            queries.
          adapted: the numbers of the weights that inner steps change and α is for, in the order of
            `model.trainable_variables`; all if not given. The others are learned by the outer loop
            alone, see `trainers.learners.anil`.
          seed: the seed of `alpha_init`.

        Raises:
          InputError: for an unknown `alpha` or `batch_norm`, fewer than one inner step, or a model
            without weights.
        """
        super().__init__(name="meta_learner")
        if inner_steps < 1:
            raise InputError(f"inner_steps={inner_steps}: should be at least 1")
        refuse_unknown(batch_norm)
        self.batch_norm = batch_norm
        self.model = model
        self.inner_steps = inner_steps
        self.first_order = first_order
        self.differentiates_twice = not first_order
        self.pure_model = PureModel(model)
        if alpha_init is None:
            alpha_init = draw_initial_value(seed)
        self.adapted = list(range(len(self.theta)) if adapted is None else adapted)
        self.alpha = Alpha(alpha, self._of_adapted(self.theta), alpha_init)
        self.scores = {"loss": keras.losses.get(loss), **(metrics or {})}
        self._refuse_keras_losses_of_several_outputs(loss)

    @property
    def theta(self) -> list[keras.Variable]:
        """The model's trainable variables."""
        return self.pure_model.weights

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """θ, and those of α's variables that are learned."""
        return [*self.theta, *self.alpha.learned]

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """The model's other variables, such as the moving averages of batch normalisation."""
        return self.pure_model.state

    @property
    def normalises_together(self) -> bool:
        """Whether batch normalisation uses the statistics of the queries."""
        return self.batch_norm == "transductive" and bool(self.pure_model.batch_norms)

    def adapt(
        self,
        inputs: Any,
        targets: Any,
        *,
        steps: int | None = None,
        values: Sequence[tf.Tensor] | None = None,
        theta: Tensors | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> Tensors:
        """Learns a task: returns the fast weights θ' after `steps` updates on a support set.

        A pure function of its arguments, and of the variables θ and α where these are not given.

        Args:
          inputs: the support set's inputs, [N, ...], in the structure that the model takes.
          targets: the support set's targets, [N, ...].
          steps: updates to make; `inner_steps` if not given.
          values: θ and the learned α to use, one tensor for each of `meta_variables`.
          theta: other weights to start from, such as an earlier result of this function.
          training: whether dropout is active. Only meta-training sets it, so that elsewhere
            adaptation and predictions do not depend on chance.
          seed: the seed of dropout, [2].

        Returns:
          One tensor for each weight. If batch normalisation uses the support set's statistics,
          these follow, as computed with the fast weights.
        """
        count = len(self.theta)
        given = theta or values or [weight.value for weight in self.theta]
        start = [tf.convert_to_tensor(weight) for weight in given[:count]]
        rates = values[count:] if values and self.alpha.learned else self.alpha.rates
        loss = self._support_loss(inputs, targets, training, seed)
        changed = adapt(
            lambda weights, step: loss(self._with_adapted(start, weights), step),
            self._of_adapted(start),
            self.alpha.per_weight(rates),
            self.inner_steps if steps is None else steps,
            first_order=self.first_order,
            names=self._of_adapted(self.pure_model.names),
        )
        weights = self._with_adapted(start, changed)
        if self.batch_norm == "transductive" or not self.pure_model.batch_norms:
            return weights
        return weights + self.pure_model(weights, inputs, training=False).statistics

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[Tensors]:
        """Returns the fast weights before adaptation and after each of `steps` updates."""
        states = [self.adapt(inputs, targets, steps=0)]
        for _ in range(steps):
            states.append(self.adapt(inputs, targets, steps=1, theta=states[-1]))
        return states

    def support_gradient(self, inputs: Any, targets: Any) -> Tensors:
        """Returns ∇L(θ) on a support set, by the weights that the first inner step changes.

        Args:
          inputs: [N, ...].
          targets: [N, ...].
        """
        loss = self._support_loss(inputs, targets, training=False, seed=None)
        theta = [tf.convert_to_tensor(weight.value) for weight in self.theta]
        return gradients(
            lambda weights: loss(self._with_adapted(theta, weights), 0),
            self._of_adapted(theta),
            self._of_adapted(self.pure_model.names),
        )

    def _of_adapted(self, values: Sequence[Any]) -> list[Any]:
        return [values[number] for number in self.adapted]

    def _with_adapted(self, weights: Tensors, changed: Tensors) -> Tensors:
        """Returns `weights` with `changed` in place of those that inner steps change."""
        together = list(weights)
        for number, value in zip(self.adapted, changed, strict=True):
            together[number] = value
        return together

    def _support_loss(
        self, inputs: Any, targets: Any, training: bool, seed: tf.Tensor | None
    ) -> Callable[[Tensors, int], tf.Tensor]:
        def loss(weights: Tensors, step: int) -> tf.Tensor:
            step_seed = None if seed is None else fold_in(seed, step)
            scores, _ = self.score(weights, inputs, targets, training=training, seed=step_seed)
            return scores["loss"]

        return loss

    def predict(self, state: Tensors, inputs: Any) -> Any:
        """Returns the model's outputs [M, ...] for inputs [M, ...] with weights from `adapt`.

        With transductive batch normalisation an output depends on the other inputs too.
        """
        return self._call(state, inputs, training=False, seed=None).outputs

    def _call(
        self, weights: Tensors, inputs: Any, training: bool, seed: tf.Tensor | None
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
        state: Tensors,
        inputs: Any,
        targets: Any,
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], Tensors]:
        """Returns the loss and the metrics on some examples, and the model's new state.

        Args:
          state: one tensor for each weight of the model, or the result of `adapt`.
          inputs: [N, ...].
          targets: [N, ...].
          training: whether dropout is active.
          seed: the seed of dropout, [2].

        Returns:
          Scalars by name, the means over the examples, where `loss` includes the model's own
          losses; and new values of `moving_variables`.
        """
        output = self._call(state, inputs, training, seed)
        return self.means(targets, output.outputs, output.penalty), output.state

    def _refuse_keras_losses_of_several_outputs(self, loss: str | Score) -> None:
        outputs = getattr(self.model, "outputs", None) or [None]
        several = len(outputs) > 1
        if several and (isinstance(loss, str) or type(loss).__module__.startswith("keras.")):
            raise InputError(
                f"loss={loss!r}: model={self.model.name!r} has {len(outputs)} outputs and a Keras "
                "loss takes one; give a function of (targets, outputs) that takes them all and "
                "returns one number an example"
            )

    def diagnose(self, episode: Episode) -> str | None:
        """Names the first quantity of a task that is not finite, see `trainers.supervised`."""
        support = episode.support_inputs, episode.support_targets
        weights = self.adapt(*support, steps=0)[: len(self.theta)]
        for step in range(self.inner_steps + 1):
            where = f"after {step} inner step(s)" if step else "before adaptation"
            adapted = self.adapt(*support, steps=0, theta=weights)
            for part, state, examples in (
                ("support", weights, support),
                ("query", adapted, (episode.query_inputs, episode.query_targets)),
            ):
                loss = self.score(state, *examples)[0]["loss"]
                if not is_finite(loss):
                    advice = "; try a smaller alpha_init or meta_learning_rate" if step else ""
                    return f"the {part} loss is {float(loss)} {where}{advice}"
            slope = gradients(lambda w: self.score(w, *support)[0]["loss"], weights)
            for name, gradient in zip(self.pure_model.names, slope, strict=True):
                if not is_finite(gradient):
                    return f"the gradient of the support loss by {name} is not finite {where}"
            weights = self.adapt(*support, steps=1, theta=weights)[: len(self.theta)]
        return None
