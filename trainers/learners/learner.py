"""What every learner offers: the interface that training, evaluation and export use."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

State: TypeAlias = Any
"""What a learner keeps of a support set: a nested structure of tensors of fixed shapes."""

Score: TypeAlias = Callable[[Any, Any], tf.Tensor]
"""A function of (targets, outputs) that gives one number an example."""


class Learner(tf.Module, abc.ABC):
    """Something that learns a task from its support set and answers its queries.

    Variables that are to be saved are attributes, as for any `tf.Module`. The trainer, evaluation,
    TensorBoard and export use what is listed here and nothing else; the conformance test checks it.

    Attributes:
      model: the Keras model whose variables are, or are part of, what is meta-trained.
      scores: by name, the functions that score predictions; the loss is called `loss`.
      inner_steps: updates that learning a task takes; 1 where a task is learned at once.
      predicts_unadapted: whether it can answer before it has seen the support set.
      differentiates_twice: whether the meta-gradient takes second derivatives of the model.
    """

    model: keras.Model
    scores: dict[str, Score]
    inner_steps: int = 1
    predicts_unadapted: bool = True
    differentiates_twice: bool = False

    @property
    @abc.abstractmethod
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """The variables that the outer loop trains."""

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """The variables that follow what `score` returns, such as moving averages."""
        return []

    @property
    def normalises_together(self) -> bool:
        """Whether a prediction depends on the other queries of the same call."""
        return False

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
        """Learns a task from its support set; a pure function.

        Args:
          inputs: the support set's inputs, [N, ...].
          targets: the support set's targets, [N, ...].
          steps: updates to make, `inner_steps` if not given; 0 is before adaptation.
          values: one tensor for each of `meta_variables`, to be used in place of their values, so
            that it can be differentiated by them.
          training: whether random layers such as dropout are active.
          seed: [2], what these draw from.
        """

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[State]:
        """Returns the states before adaptation and after each of `steps` updates.

        Where `predicts_unadapted` is false, the first one is not to be used.
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
          state: what `adapt` returned.
          inputs: [M, ...].
          targets: [M, ...].
          training: whether random layers are active.
          seed: [2], what these draw from.

        Returns:
          Scalars by name, means over the examples; and new values of `moving_variables`.
        """

    def diagnose(self, episode: Any) -> str | None:
        """Names the first quantity of a task that is not finite; None if there is none."""
        del episode
        return None
