"""MAML++: MAML with a rate for each layer and step, and a loss after each step.

    θ_{t+1} = θ_t − α_{l,t} ∇L(θ_t; γ_t, β_t)        for a weight of layer l, t = 0 … N − 1
    outer loss = Σ_t w_t L_query(θ_{t+1}; γ_t, β_t)

* α has one entry for each layer and step. It is learned.
* γ and β of batch normalisation are learned for each step and are not changed by inner steps. Those
  of step t serve its support set and the query set after it. The model's own are those of step 0.
* Each pass normalises by the statistics of its own batch, so that those of one step never reach
  another. The authors keep running averages for each step as well, and never use them.
* w starts at 1 / N each and moves to the last step over the first iterations, see
  `trainers.learners.multi_step_loss`.
* The gradient in an inner step is a constant to the outer loop during the first iterations.

Source: Antoniou, Edwards and Storkey 2019, section 4, and their published code, where a "layer" of
α is one tensor and epochs are counted instead of iterations. A query set before adaptation is
answered with γ and β of step 0, and steps after the Nth repeat its rates, γ and β; the paper has
neither.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.alpha import Alpha
from trainers.learners.anil import of_the_body
from trainers.learners.fast_weights import FastWeightsLearner
from trainers.learners.multi_step_loss import if_true, loss_weights
from trainers.learners.tied_head import tied_if
from trainers.seeds import fold_in
from trainers.stateless.batch_norm import all_but_norms
from trainers.stateless.recomputing import recomputed
from trainers.stateless.scores import Score
from trainers.update_rule import Tensors, adapt


class MamlPlusPlus(FastWeightsLearner):
    """A Keras model that learns a task in some steps of gradient descent, each with its own rates.

    Attributes:
      alpha: the rates, a variable [inner_steps] for each layer.
      later: for each γ and β of the model, those of the steps after the first,
        [inner_steps − 1, ...]; empty where there is one step.
      multi_step_iterations: meta-iterations until only the last step's loss counts.
      first_order_iterations: meta-iterations without second derivatives.
      remat: as `MetaLearner` has it.
    """

    alpha: Alpha
    differentiates_twice = True

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        alpha_init: float = 0.1,
        body_alpha_init: float | None = None,
        inner_steps: int = 5,
        multi_step_iterations: int = 0,
        first_order_iterations: int = 0,
        batch_norm: str = "transductive",
        tied_head: bool = False,
        ways: int | None = None,
        train_ways: int | None = None,
        remat: bool = False,
    ):
        """Wraps a model, see `FastWeightsLearner`.

        Args:
          model: any built Keras 3 model.
          loss: as `FastWeightsLearner` takes it.
          metrics: further scores of (targets, outputs) by name.
          alpha_init: the initial value of every rate.
          body_alpha_init: another initial value for all layers but the last.
          inner_steps: updates on the support set, at least 1.
          multi_step_iterations: see the class; 0 for the last step's loss from the beginning.
          first_order_iterations: see the class; 0 for second derivatives from the beginning.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`.
          tied_head: as `MetaLearner` has it; the paper has no such layer.
          ways: as `MetaLearner` has it.
          train_ways: as `MetaLearner` has it.
          remat: as `MetaLearner` has it.

        Raises:
          InputError: as `MetaLearner` does, or for a model that only normalises.
        """
        super().__init__(
            model, loss, metrics=metrics, inner_steps=inner_steps, batch_norm=batch_norm
        )
        self.adapted = _adapted(model)
        self._normalising = [n for n in range(len(self.theta)) if n not in self.adapted]
        self.multi_step_iterations = multi_step_iterations
        self.first_order_iterations = first_order_iterations
        self.remat = remat
        self.alpha = Alpha(
            "per_layer",
            self._of_adapted(self.theta),
            alpha_init,
            initial_values=of_the_body(model, self.adapted, body_alpha_init),
            model=model,
            steps=inner_steps,
        )
        self.tied = tied_if(tied_head, model, ways, train_ways)
        several = self._normalising if inner_steps > 1 else []
        self.later = [_repeated(self.theta[number], inner_steps - 1) for number in several]

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """θ with γ and β of step 0, the rates, and γ and β of later steps."""
        return [*self.theta, *self.alpha.rates, *self.later]

    def objective(
        self, values: Sequence[tf.Tensor], episode: Episode, seed: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the weighted losses after each step, and the scores after the last.

        See `Learner.objective`.
        """
        inputs, queries = episode.support_inputs, (episode.query_inputs, episode.query_targets)
        annealed = self.first_order_iterations > 0
        *earlier, last = self.fast_weights(
            inputs,
            episode.support_targets,
            self.inner_steps,
            values,
            training=True,
            seed=fold_in(seed, 0),
            first_order=iteration < self.first_order_iterations if annealed else False,
        )

        def scored(weights: Tensors, number: int) -> tuple[dict[str, tf.Tensor], Tensors]:
            own = fold_in(seed, number)
            state = self._state(weights, inputs, training=True, seed=fold_in(own, 0))
            return self.score(state, *queries, training=True, seed=own)

        scores, moving = scored(last, 1)
        loss = scores["loss"]
        if self.multi_step_iterations == 0 or self.inner_steps == 1:
            return loss, scores, moving
        shares = loss_weights(self.inner_steps, iteration, self.multi_step_iterations)
        *early_shares, last_share = tf.unstack(tf.cast(shares, loss.dtype))

        def early_loss(weights: list[Tensors]) -> tf.Tensor:
            losses = [scored(w, 2 + step)[0]["loss"] for step, w in enumerate(weights)]
            return tf.add_n([s * each for s, each in zip(early_shares, losses, strict=True)])

        annealing = iteration < self.multi_step_iterations
        return if_true(annealing, early_loss, earlier[1:]) + last_share * loss, scores, moving

    def fast_weights(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
        first_order: bool | tf.Tensor = False,
    ) -> list[Tensors]:
        """Returns all weights before adaptation and after each of `steps` updates."""
        given = [tf.convert_to_tensor(value) for value in values or self.meta_variables]
        count, rated = len(self.theta), len(self.theta) + len(self.alpha.rates)
        theta, later = given[:count], given[rated:]
        rates = self.alpha.per_weight(given[count:rated])
        loss = self._support_loss(inputs, targets, training, seed)
        made = [self._with_tied(theta, range(count), training)]
        for step in range(steps):
            own = min(step, self.inner_steps - 1)
            weights = self._normalising_as_in(own, made[-1], later)

            def updated(weights: Tensors, rates: Tensors, step: int = step) -> Tensors:
                changed = adapt(
                    lambda some, _: loss(self._with_adapted(weights, some), step),
                    self._of_adapted(weights),
                    rates,
                    first_order=first_order,
                    names=self._of_adapted(self.pure_model.names),
                )
                return self._with_adapted(weights, changed)

            own_rates = [rate[own] for rate in rates]
            made.append((recomputed(updated) if self.remat else updated)(weights, own_rates))
        return made

    def _normalising_as_in(self, step: int, weights: Tensors, later: Tensors) -> Tensors:
        """Returns `weights` with γ and β of a step, where those before step 1 are there already."""
        own = list(weights)
        if step:
            for number, values in zip(self._normalising, later, strict=True):
                own[number] = values[step - 1]
        return own


def _adapted(model: keras.Model) -> list[int]:
    """Returns the numbers of the weights that inner steps change, and refuses to have none."""
    adapted = all_but_norms(model)
    if not adapted:
        raise InputError(
            f"model={model.name!r}: all its weights are of batch normalisation, which inner steps "
            "do not change; should have others"
        )
    return adapted


def _repeated(weight: keras.Variable, count: int) -> tf.Variable:
    """Returns a variable of so many copies of a weight, [count, ...]."""
    path = f"later/{weight.path}"
    # Optimizers of Keras name variables after it, which may have no slash.
    made = tf.Variable(tf.stack([weight.value] * count), name=path.replace("/", "_"))
    made.path = path  # As Keras's variables have one.
    return made
