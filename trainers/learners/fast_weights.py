"""What learners share that learn a task by changing the weights of a model: the fast weights θ'.

The state of a task is one tensor for each weight, and the statistics of the support set where batch
normalisation uses those. Learners differ in how they come from θ to θ'.
"""

import abc
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.episodes import Episode, is_finite
from trainers.errors import InputError
from trainers.learners.anil import numbers_of
from trainers.learners.learner import Learner
from trainers.learners.tied_head import TiedHead
from trainers.seeds import fold_in
from trainers.stateless.batch_norm import of_the_support_set, refuse_unknown
from trainers.stateless.pure_model import Output, PureModel
from trainers.stateless.scores import Score, scores_of
from trainers.update_rule import Tensors, gradients


class FastWeightsLearner(Learner):
    """Predicts by a Keras model whose weights are those that a task was learned in.

    Attributes:
      model: the Keras model; its trainable variables are θ.
      pure_model: the model as a function of its weights.
      inner_steps: updates to learn a task.
      adapted: the numbers of the weights that inner steps change, in the order of `theta`.
      batch_norm: whose statistics batch normalisation uses, one of
        `trainers.stateless.batch_norm.BATCH_NORMS`.
      tied: the last layer, where it starts alike for every class.
    """

    tied: TiedHead | None = None

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        inner_steps: int = 1,
        batch_norm: str = "transductive",
        adapted: Sequence[int] | None = None,
    ):
        """Wraps a model.

        Args:
          model: any built Keras 3 model.
          loss: a Keras loss by name, function or object, of (targets, outputs). For a model of
            several outputs it is a function that takes them in the model's own structure.
          metrics: further scores of (targets, outputs) by name.
          inner_steps: updates on the support set, at least 1.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`. `transductive` is common
            in published few-shot results; with `support` a prediction does not depend on the other
            queries.
          adapted: the numbers of the weights that inner steps change, in the order of
            `model.trainable_variables`, or below 0 from its end; all if not given.

        Raises:
          InputError: for an unknown `batch_norm`, fewer than one inner step, a model without
            weights, numbers of none of them, or a metric of a reserved name.
        """
        super().__init__(name="meta_learner")
        if inner_steps < 1:
            raise InputError(f"inner_steps={inner_steps}: should be at least 1")
        refuse_unknown(batch_norm)
        self.batch_norm = batch_norm
        self.model = model
        self.inner_steps = inner_steps
        self.pure_model = PureModel(model)
        self.scale = self.pure_model.scale
        self.adapted = numbers_of(model, range(len(self.theta)) if adapted is None else adapted)
        self.scores = scores_of(loss, metrics)
        self._refuse_keras_losses_of_several_outputs(loss)

    @property
    def theta(self) -> list[keras.Variable]:
        """The model's trainable variables."""
        return self.pure_model.weights

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """The model's other variables, such as the moving averages of batch normalisation."""
        return self.pure_model.state

    @property
    def kept_variables(self) -> list[keras.Variable]:
        """Those of them that calls leave as they are, such as a frozen layer's."""
        return self.pure_model.kept

    @property
    def normalises_together(self) -> bool:
        """Whether batch normalisation uses the statistics of the queries."""
        return self.batch_norm == "transductive" and self.pure_model.has_own_statistics

    @property
    def has_other_train_ways(self) -> bool:
        """Whether a task of training has other ways than one of evaluation."""
        return self.tied is not None and self.tied.has_other_train_ways

    @property
    def train_classes(self) -> int | None:
        """The ways of training, or the model's outputs where the loss takes class numbers."""
        if self.tied is not None:
            return self.tied.train_classes
        shape = getattr(self.model, "output_shape", None)
        loss = self.scores["loss"]
        by_number = loss is keras.losses.sparse_categorical_crossentropy or (
            isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
            and loss.ignore_class is None
        )
        return shape[-1] if by_number and isinstance(shape, tuple) else None

    @abc.abstractmethod
    def fast_weights(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> list[Tensors]:
        """Returns all weights before adaptation and after each of `steps` updates.

        The arguments are those of `adapt`. What differs between the learners is here.
        """

    def adapt(
        self,
        inputs: Any,
        targets: Any,
        *,
        steps: int | None = None,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> Tensors:
        """Learns a task by `steps` updates on a support set, see `Learner.adapt`.

        Returns:
          One tensor for each weight. If batch normalisation uses the support set's statistics,
          these follow, as computed with the fast weights.

        Raises:
          InputError: for fewer than no steps.
        """
        steps = self._steps(steps)
        every = self.fast_weights(inputs, targets, steps, values, training, seed)
        own = None if seed is None else fold_in(seed, steps)
        return self._state(every[-1], inputs, training, own)

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[Tensors]:
        """Returns the states before adaptation and after each of `steps` updates."""
        every = self.fast_weights(inputs, targets, self._steps(steps))
        return [self._state(weights, inputs) for weights in every]

    def predict(self, state: Tensors, inputs: Any) -> Any:
        """Returns the model's outputs [M, ...] for inputs [M, ...] with weights from `adapt`.

        With transductive batch normalisation an output depends on the other inputs too.
        """
        return self.output(state, inputs).outputs

    def output(self, state: Tensors, inputs: Any) -> Output:
        """Returns the outputs of `predict` for a state and inputs [M, ...], and the model's losses.

        Its own ones, that is: those of regularisers and `add_loss`.
        """
        return self._call(state, inputs, training=False, seed=None)

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

    def diagnose(self, episode: Episode) -> str | None:
        """Names the first quantity of a task of training that is not finite.

        See `trainers.supervised`.
        """
        with self.tied.with_ways_of_training() if self.tied else contextlib.nullcontext():
            return self._diagnose(episode)

    def _diagnose(self, episode: Episode) -> str | None:
        support = episode.support_inputs, episode.support_targets
        rates = "" if self.alpha is None else "alpha_init or "
        advice = f"; try a smaller {rates}meta_learning_rate"
        for step, state in enumerate(self.adapt_stepwise(*support, self.inner_steps)):
            weights = state[: len(self.theta)]
            where = f"after {step} inner step(s)" if step else "before adaptation"
            for part, given, examples in (
                ("support", weights, support),
                ("query", state, (episode.query_inputs, episode.query_targets)),
            ):
                loss = self.score(given, *examples)[0]["loss"]
                if not is_finite(loss):
                    return f"the {part} loss is {float(loss)} {where}{advice if step else ''}"
            slope = gradients(lambda w: self.score(w, *support)[0]["loss"], weights)
            for name, gradient in zip(self.pure_model.names, slope, strict=True):
                if not is_finite(gradient):
                    return f"the gradient of the support loss by {name} is not finite {where}"
        return None

    def _steps(self, steps: int | None) -> int:
        """Returns how many updates are asked for, `inner_steps` if nothing is said."""
        if steps is not None and steps < 0:
            raise InputError(f"steps={steps}: should be at least 0")
        return self.inner_steps if steps is None else steps

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

    def _state(
        self,
        weights: Tensors,
        inputs: Any,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> Tensors:
        """Returns the state of a task: its weights, and its support set's statistics if needed.

        In training these have dropout, as the queries that are normalised by them do.
        """
        if self.batch_norm == "transductive" or not self.pure_model.batch_norms:
            return weights
        output = self.pure_model(weights, inputs, training=training, seed=seed)
        return weights + of_the_support_set(self.pure_model.batch_norms, output.statistics)

    def _support_loss(
        self, inputs: Any, targets: Any, training: bool, seed: tf.Tensor | None
    ) -> Callable[[Tensors, int], tf.Tensor]:
        """Returns the function from weights and an inner step's number to the support loss."""

        def loss(weights: Tensors, step: int) -> tf.Tensor:
            step_seed = None if seed is None else fold_in(seed, step)
            scores, _ = self.score(weights, inputs, targets, training=training, seed=step_seed)
            return scores["loss"]

        return loss

    def _of_adapted(self, values: Sequence[Any]) -> list[Any]:
        return [values[number] for number in self.adapted]

    def _with_adapted(self, weights: Tensors, changed: Tensors) -> Tensors:
        """Returns `weights` with `changed` in place of those that inner steps change."""
        together = list(weights)
        for number, value in zip(self.adapted, changed, strict=True):
            together[number] = value
        return together

    def _with_tied(self, weights: Sequence[Any], numbers: Sequence[int], training: bool) -> Tensors:
        """Returns weights or their rates, alike for every class where they are tied."""
        return list(weights) if self.tied is None else self.tied.alike(weights, numbers, training)

    def _refuse_keras_losses_of_several_outputs(self, loss: str | Score) -> None:
        outputs = getattr(self.model, "outputs", None) or [None]
        of_keras = isinstance(loss, str) or str(loss.__module__).startswith("keras.")
        if len(outputs) > 1 and of_keras:
            raise InputError(
                f"loss={getattr(loss, '__name__', loss)!r}: model={self.model.name!r} has "
                f"{len(outputs)} outputs and a Keras loss takes one; give a function of (targets, "
                "outputs) that takes them all and returns one number an example"
            )
