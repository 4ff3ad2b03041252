"""The interface of every learner, which training, evaluation and export use."""

import abc
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from trainers.episodes import Episode, is_finite
from trainers.learners.alpha import Alpha
from trainers.seeds import fold_in
from trainers.stateless.gradient_scale import GradientScale
from trainers.stateless.scores import Score, scored

State: TypeAlias = Any
"""What a learner keeps of a support set, such as fast weights: nested tensors of fixed shapes."""


class Learner(tf.Module, abc.ABC):
    """Learns a task from its support set and predicts its query set.

    Variables that are to be saved are attributes, as for any `tf.Module`. The trainer, evaluation,
    TensorBoard and export use what is listed here and nothing else; the conformance test checks it.

    Attributes:
      model: the Keras model whose variables are meta-trained, perhaps among others.
      scores: by name, the functions that score predictions; the loss is called `loss`.
      inner_steps: updates to learn a task; 1 if a task is learned at once.
      predicts_unadapted: whether it can predict before it has seen the support set.
      differentiates_twice: whether the meta-gradient takes second derivatives of the model.
      alpha: the rates of inner steps, for learners that have such.
      batches_tasks: whether its `mean_objective` takes all tasks as one batch.
      scale: what gradients are multiplied by within a float16 model, which training lowers where
        they overflow; None for other models.
    """

    model: keras.Model
    scores: dict[str, Score]
    inner_steps: int = 1
    predicts_unadapted: bool = True
    differentiates_twice: bool = False
    alpha: Alpha | None = None
    batches_tasks: bool = False
    scale: GradientScale | None = None

    @property
    @abc.abstractmethod
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """The variables that the outer loop trains."""

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """The variables whose new values `objective` returns, such as moving averages."""
        return []

    @property
    def kept_variables(self) -> list[keras.Variable]:
        """Those of `moving_variables` that `objective`, once traced, leaves as they are."""
        return []

    @property
    def normalises_together(self) -> bool:
        """Whether a prediction depends on the other queries of the same call."""
        return False

    @property
    def has_other_train_ways(self) -> bool:
        """Whether a task of training has other ways than one of evaluation."""
        return False

    @property
    def train_classes(self) -> int | None:
        """Below what class numbers are in training; None where targets may be something else."""
        return None

    @property
    def numbers_per_query(self) -> int:
        """How many numbers it keeps for each query while it answers, besides the query itself."""
        return 0

    @abc.abstractmethod
    def adapt(
        self,
        inputs: Any,
        targets: Any,
        *,
        steps: int | None = None,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> State:
        """Learns a task from its support set and returns the learned state; a pure function.

        Args:
          inputs: the support set's inputs, [N, ...].
          targets: the support set's targets, [N, ...].
          steps: updates to make, `inner_steps` if not given; 0 is before adaptation.
          values: one tensor for each of `meta_variables` to use in place of its value, so that the
            state can be differentiated with respect to them.
          training: whether random layers such as dropout are active.
          seed: the seed of these layers, [2].
        """

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[State]:
        """Returns the states before adaptation and after each of `steps` updates.

        If `predicts_unadapted` is false, the first one must not be used.
        """
        return [self.adapt(inputs, targets, steps=step) for step in range(steps + 1)]

    @abc.abstractmethod
    def predict(self, state: State, inputs: Any) -> Any:
        """Returns outputs [M, ...] for query inputs [M, ...]."""

    @abc.abstractmethod
    def score(
        self,
        state: State,
        inputs: Any,
        targets: Any,
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the loss and the other scores on some examples.

        Args:
          state: the state that `adapt` returned.
          inputs: [M, ...].
          targets: [M, ...].
          training: whether random layers are active.
          seed: the seed of these layers, [2].

        Returns:
          Scalars by name, means over the examples; and new values of the model's own variables,
          such as moving averages.
        """

    def objective(
        self, values: Sequence[tf.Tensor], episode: Episode, seed: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns what the outer loop minimises on one task, and the scores that are shown.

        By default this is the query set's loss after adaptation. A learner whose outer loop wants
        something else, such as the losses after each step, replaces it.

        Args:
          values: one tensor for each of `meta_variables`, which the outer loop differentiates by.
          episode: the task.
          seed: [2], what dropout draws from.
          iteration: meta-iterations done before, scalar (int64).

        Returns:
          A scalar; the scores that `score` returns; and new values of `moving_variables`.
        """
        del iteration
        state = self.adapt(
            episode.support_inputs,
            episode.support_targets,
            values=values,
            training=True,
            seed=fold_in(seed, 0),
        )
        scores, moving = self.score(
            state,
            episode.query_inputs,
            episode.query_targets,
            training=True,
            seed=fold_in(seed, 1),
        )
        return scores["loss"], scores, moving

    def mean_objective(
        self, values: Sequence[tf.Tensor], episodes: Episode, seeds: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the means over several tasks of what `objective` gives.

        By default it takes one task after the other. A learner that `batches_tasks` replaces it:
        with the same weights for every task, all are one batch, and what they have in common is
        one matrix product.

        Args:
          values: as in `objective`.
          episodes: B tasks, [B, N, ...].
          seeds: [B, 2].
          iteration: as in `objective`.
        """
        by_task = [
            self.objective(
                values,
                tf.nest.map_structure(lambda part, task=task: part[task], episodes),
                seed,
                iteration,
            )
            for task, seed in enumerate(tf.unstack(seeds))
        ]
        return tf.nest.map_structure(lambda *parts: tf.reduce_mean(tf.stack(parts), 0), *by_task)

    def means(
        self, targets: Any, outputs: Any, penalty: tf.Tensor, loss: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the means of `scores` over some examples, the loss with a penalty added.

        Args:
          targets: [M, ...].
          outputs: [M, ...].
          penalty: scalar, the model's own losses; the means have its type.
          loss: scalar, in place of the mean of the loss.

        Raises:
          InputError: for a score of each target with each output.
        """
        means = {
            name: tf.reduce_mean(tf.cast(scored(name, score, targets, outputs), penalty.dtype))
            for name, score in self.scores.items()
            if loss is None or name != "loss"
        }
        return means | {"loss": (means["loss"] if loss is None else loss) + penalty}

    def diagnose(self, episode: Episode) -> str | None:
        """Names the first quantity of a task of training that is not finite, if there is one."""
        values = [tf.convert_to_tensor(variable) for variable in self.meta_variables]
        first = tf.zeros([], tf.int64)
        _, scores, _ = self.objective(values, episode, tf.zeros([2], tf.int32), first)
        if is_finite(scores["loss"]):
            return None
        return f"the loss is {float(scores['loss'])}; try a smaller meta_learning_rate"
