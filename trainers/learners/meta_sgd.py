"""The learner of Meta-SGD and MAML: a model's initial weights θ, the rates α, and adaptation."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.alpha import Alpha, draw_initial_value
from trainers.learners.anil import of_the_body
from trainers.learners.fast_weights import FastWeightsLearner
from trainers.learners.tied_head import tied_if
from trainers.seeds import fold_in
from trainers.stateless.recomputing import recomputed
from trainers.stateless.scores import Score, scored
from trainers.update_rule import Tensors, adapt, gradients


class MetaLearner(FastWeightsLearner):
    """A Keras model that learns a task in one or a few steps, by `trainers.update_rule`.

    Meta-SGD, MAML and their relatives (Li et al. 2017; Finn et al. 2017): what is meta-trained is θ
    and, where it is learned, α; the state of a task is its fast weights θ'.

    Attributes:
      alpha: the rates α.
      outer_loss: what the outer loop minimises, of (targets, outputs); None for the loss itself.
      first_order: whether the outer gradient ignores the second derivatives.
      remat: whether it computes inner steps again. By the support inputs it is then 0.
    """

    alpha: Alpha

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        alpha: str = "per_weight",
        alpha_init: float | None = None,
        body_alpha_init: float | None = None,
        inner_steps: int = 1,
        first_order: bool = False,
        batch_norm: str = "transductive",
        adapted: Sequence[int] | None = None,
        tied_head: bool = False,
        ways: int | None = None,
        train_ways: int | None = None,
        outer_loss: Score | None = None,
        remat: bool = False,
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
          body_alpha_init: another initial value for all layers but the last.
          inner_steps: updates on the support set, at least 1.
          first_order: whether to ignore second derivatives.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`. `transductive` is common
            in published few-shot results; with `support` a prediction does not depend on the other
            queries.
          adapted: the numbers of the weights that inner steps change and α is for, in the order of
            `model.trainable_variables`, or below 0 from its end; all if not given. The others are
            learned by the outer loop alone, see `trainers.learners.anil`.
          tied_head: whether the last layer starts alike for every class, see
            `trainers.learners.tied_head`.
          ways: classes of a task, if not as many as the model has outputs; for a `tied_head`.
          train_ways: classes of a task in training, if not `ways`; for a `tied_head`.
          outer_loss: one number an example of (targets, outputs) that the outer loop minimises in
            place of `loss`, which scores and inner steps keep.
          remat: whether the outer gradient computes each inner step again in place of keeping it.
          seed: the seed of `alpha_init`.

        Raises:
          InputError: for an unknown `alpha` or `batch_norm`, fewer than one inner step, a model
            without weights, an `adapted` of none or others, several initial values of one rate, a
            last layer that cannot be tied, `ways` or `train_ways` without a `tied_head`, a metric
            of a reserved name, or a Keras loss for several outputs.
        """
        super().__init__(
            model,
            loss,
            metrics=metrics,
            inner_steps=inner_steps,
            batch_norm=batch_norm,
            adapted=adapted,
        )
        self.first_order = first_order
        self.remat = remat
        self.differentiates_twice = not first_order
        if alpha_init is None:
            alpha_init = draw_initial_value(seed)
        self.alpha = Alpha(
            alpha,
            self._of_adapted(self.theta),
            alpha_init,
            initial_values=of_the_body(model, self.adapted, body_alpha_init),
            model=model,
        )
        self.outer_loss = outer_loss
        self.tied = tied_if(tied_head, model, ways, train_ways)

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """θ, and those of α's variables that are learned."""
        return [*self.theta, *self.alpha.learned]

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

        Raises:
          InputError: for fewer than no steps.
        """
        steps = self._steps(steps)
        every = self.fast_weights(inputs, targets, steps, values, training, seed, theta)
        own = None if seed is None else fold_in(seed, steps)
        return self._state(every[-1], inputs, training, own)

    def fast_weights(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
        theta: Tensors | None = None,
    ) -> list[Tensors]:
        """Returns the weights before adaptation and after each of `steps` updates."""
        count = len(self.theta)
        given = theta or values or [weight.value for weight in self.theta]
        start = [tf.convert_to_tensor(weight) for weight in given[:count]]
        if theta is None:
            start = self._with_tied(start, range(count), training)
        rates = values[count:] if values and self.alpha.learned else self.alpha.rates
        loss = self._support_loss(inputs, targets, training, seed)
        of_weights = self._with_tied(self.alpha.per_weight(rates), self.adapted, training)
        made = [start]
        for step in range(steps):

            def updated(weights: Tensors, rates: Tensors, step: int = step) -> Tensors:
                changed = adapt(
                    lambda some, _: loss(self._with_adapted(weights, some), step),
                    self._of_adapted(weights),
                    rates,
                    first_order=self.first_order,
                    names=self._of_adapted(self.pure_model.names),
                )
                return self._with_adapted(weights, changed)

            made.append((recomputed(updated) if self.remat else updated)(made[-1], of_weights))
        return made

    def objective(
        self, values: Sequence[tf.Tensor], episode: Episode, seed: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], Tensors]:
        """Returns the query set's outer loss after adaptation, see `Learner.objective`."""
        if self.outer_loss is None:
            return super().objective(values, episode, seed, iteration)
        support = episode.support_inputs, episode.support_targets
        state = self.adapt(*support, values=values, training=True, seed=fold_in(seed, 0))
        output = self._call(state, episode.query_inputs, training=True, seed=fold_in(seed, 1))
        scores = self.means(episode.query_targets, output.outputs, output.penalty)
        losses = scored("outer_loss", self.outer_loss, episode.query_targets, output.outputs)
        return tf.reduce_mean(losses) + output.penalty, scores, output.state

    def first_rates(self) -> Tensors:
        """Returns α as the first inner step uses it, one tensor for each weight that it changes."""
        rates = [tf.convert_to_tensor(rate) for rate in self.alpha.rates]
        return self._with_tied(self.alpha.per_weight(rates), self.adapted, training=False)

    def support_gradient(self, inputs: Any, targets: Any) -> Tensors:
        """Returns ∇L(θ) on a support set, by the weights that the first inner step changes.

        Args:
          inputs: [N, ...].
          targets: [N, ...].
        """
        loss = self._support_loss(inputs, targets, training=False, seed=None)
        theta = self.adapt(inputs, targets, steps=0)[: len(self.theta)]
        return gradients(
            lambda weights: loss(self._with_adapted(theta, weights), 0),
            self._of_adapted(theta),
            self._of_adapted(self.pure_model.names),
        )
