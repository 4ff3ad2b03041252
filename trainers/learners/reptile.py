"""Reptile: the initial weights move to where a few steps on each task lead.

    θ̃ = θ after k steps of an inner optimizer, each on a minibatch of the task's examples
    θ ← θ + ε mean_tasks (θ̃ − θ)

No step is differentiated. The outer step is an optimizer's like any other, of the gradient θ − θ̃:
that of SGD with rate ε and without momentum is the update above. In the paper ε falls linearly.

In meta-training a task's examples are those of both its sets, as Reptile needs no query set: with 1
shot and 9 queries they are the paper's 10 images a class. The scores that training shows are the
query set's after adaptation, which has seen these examples. In the test a task's examples are the
support set. Minibatches are drawn as in the authors' code, without replacement while examples last,
in a new order at each pass; a smaller set is a minibatch as a whole.

The inner Adam has β1 = 0 and keeps its second moments from task to task, as in the authors' code:
an iteration's tasks all begin with those that the last one left, and leave the means of theirs.
With none, Adam's first step moves every weight by the whole rate, whatever its gradient. A task of
the test begins with those of the end of training.

Source: Nichol, Achiam and Schulman 2018, Algorithm 2 and section 6.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.batching import as_products
from trainers.episodes import Episode, is_finite
from trainers.errors import InputError
from trainers.learners.fast_weights import FastWeightsLearner
from trainers.learners.inner_optimizers import INNER_OPTIMIZERS, Moments, no_moments
from trainers.seeds import fold_in, uniform
from trainers.stateless.scores import Score
from trainers.update_rule import Tensors, gradients


class Reptile(FastWeightsLearner):
    """A Keras model whose initial weights θ are meta-trained; its fast weights are θ̃.

    Attributes:
      inner_optimizer: one of `INNER_OPTIMIZERS`.
      inner_rate: its rate.
      inner_batch: examples of a minibatch.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        metrics: Mapping[str, Score] | None = None,
        inner_optimizer: str = "adam",
        inner_rate: float = 1e-3,
        inner_batch: int = 10,
        inner_steps: int = 5,
        batch_norm: str = "transductive",
        seed: int = 0,
    ):
        """Wraps a model.

        Args:
          model: as `FastWeightsLearner` takes it.
          loss: likewise.
          metrics: likewise.
          inner_optimizer: `adam`, or `sgd`, which is without momentum.
          inner_rate: its rate.
          inner_batch: examples of a minibatch, at least 1.
          inner_steps: k, at least 1.
          batch_norm: as `FastWeightsLearner` takes it.
          seed: what minibatches are drawn by outside of meta-training.

        Raises:
          InputError: for an unknown `inner_optimizer` or `batch_norm`, fewer than one example or
            step, or a model without weights.
        """
        super().__init__(
            model, loss, metrics=metrics, inner_steps=inner_steps, batch_norm=batch_norm
        )
        if inner_optimizer not in INNER_OPTIMIZERS:
            raise InputError(
                f"inner_optimizer={inner_optimizer!r}: should be one of "
                f"{', '.join(INNER_OPTIMIZERS)}"
            )
        if inner_batch < 1:
            raise InputError(f"inner_batch={inner_batch}: should be at least 1")
        self.inner_optimizer = inner_optimizer
        self.inner_rate = inner_rate
        self.inner_batch = inner_batch
        self._seed = (seed, 0)
        kept = no_moments(inner_optimizer, [weight.value for weight in self.theta])
        self._moments = [tf.Variable(value, trainable=False) for value in kept]
        # Called, not inlined, so that a graph of fifty steps holds what it does once.
        self._one_step = tf.function(
            self._trace_step, autograph=False, experimental_attributes={"_noinline": True}
        )

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """θ."""
        return list(self.theta)

    @property
    def moving_variables(self) -> list[keras.Variable | tf.Variable]:
        """The model's other variables, and what the inner optimizer keeps."""
        return [*super().moving_variables, *self._moments]

    def objective(
        self, values: Sequence[tf.Tensor], episode: Episode, seed: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], Tensors]:
        """Returns (θ − θ̃) · θ, whose gradient is θ − θ̃ with both held fixed; see `Learner`."""
        del iteration
        start = [tf.stop_gradient(value) for value in values]
        examples = _of_both_sets(episode)
        every, moments = self._walk(*examples, self.inner_steps, start, True, fold_in(seed, 0))
        walked = fold_in(seed, 0, self.inner_steps)
        state = self._state(every[-1], examples[0], training=True, seed=walked)
        scores, moving = self.score(
            state,
            episode.query_inputs,
            episode.query_targets,
            training=True,
            seed=fold_in(seed, 1),
        )
        back = [tf.stop_gradient(s - w) for s, w in zip(start, state, strict=False)]
        products = [tf.reduce_sum(b * v) for b, v in zip(back, values, strict=True)]
        return tf.add_n(products), scores, [*moving, *moments]

    def fast_weights(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> list[Tensors]:
        """Returns the weights before the first step and after each.

        `seed` is that of dropout and of the minibatches, which are always the same without one.
        """
        return self._walk(inputs, targets, steps, values, training, seed)[0]

    def _walk(
        self,
        inputs: Any,
        targets: Any,
        steps: int,
        values: Sequence[tf.Tensor] | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> tuple[list[Tensors], Moments]:
        """Returns what `fast_weights` does, and what the inner optimizer keeps after it."""
        order_seed = tf.constant(self._seed) if seed is None else fold_in(seed, -1)
        batch = minibatches(inputs, targets, self.inner_batch, steps, order_seed)
        weights = [tf.convert_to_tensor(w) for w in values or [v.value for v in self.theta]]
        # Adam counts its steps in them: a number given as a constant would trace each step anew.
        moments = tuple(tf.convert_to_tensor(kept) for kept in self._moments)
        made = [weights]
        for step in range(steps):
            weights, moments = self._one_step(
                weights,
                moments,
                batch(step),
                training,
                None if seed is None else fold_in(seed, step),
                self.inner_rate,
                as_products.active(),
            )
            made.append(weights)
        return made, moments

    def _trace_step(
        self,
        weights: Tensors,
        moments: Moments,
        batch: tuple[Any, Any],
        training: bool,
        seed: tf.Tensor | None,
        rate: float,
        in_products: bool,
    ) -> tuple[Tensors, Moments]:
        """Makes one step of the inner optimizer; traced anew for each of the last two arguments."""
        del in_products  # The model's convolutions are other operations then.

        def loss(weights: Tensors) -> tf.Tensor:
            return self.score(weights, *batch, training=training, seed=seed)[0]["loss"]

        gradient = gradients(loss, weights, self.pure_model.names)
        direction, moments = INNER_OPTIMIZERS[self.inner_optimizer](gradient, moments)
        return [w - rate * d for w, d in zip(weights, direction, strict=True)], moments

    def diagnose(self, episode: Episode) -> str | None:
        """Names the first step after which a task's loss is not finite."""
        states = self.adapt_stepwise(*_of_both_sets(episode), self.inner_steps)
        for step, state in enumerate(states):
            scores, _ = self.score(state, episode.query_inputs, episode.query_targets)
            if not is_finite(scores["loss"]):
                return (
                    f"the query loss is {float(scores['loss'])} after {step} inner step(s); try a "
                    "smaller inner_rate or meta_learning_rate"
                )
        return super().diagnose(episode)


def _of_both_sets(episode: Episode) -> tuple[Any, Any]:
    """Returns the inputs and the targets of all examples of a task."""
    support, query = episode[:2], episode[2:]
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), support, query)


def minibatches(
    inputs: Any, targets: Any, size: int, steps: int, seed: tf.Tensor
) -> Callable[[int], tuple[Any, Any]]:
    """Draws the minibatches of some steps, the first ones the same for any number of steps.

    Args:
      inputs: [N, ...], a tensor or a nested structure of them.
      targets: [N, ...], likewise.
      size: examples of a minibatch; all N if they are no more.
      steps: how many minibatches there will be.
      seed: [2], what the order of each pass is drawn by.

    Returns:
      A function from the number of a step to inputs and targets.
    """
    first = tf.nest.flatten(inputs)[0]
    count = first.shape[0]
    if count is not None and count <= size:
        return lambda step: (inputs, targets)
    passes = steps  # Enough for any number of examples.
    if count is None:
        count = tf.shape(first)[0]
        size = tf.minimum(size, count)
    else:
        passes = -(-steps * size // count)
    orders = [tf.argsort(uniform(fold_in(seed, number), [count])) for number in range(passes)]
    order = tf.concat(orders or [[]], axis=0)

    def batch(step: int) -> tuple[Any, Any]:
        chosen = order[step * size : (step + 1) * size]
        return tf.nest.map_structure(lambda rows: tf.gather(rows, chosen), (inputs, targets))

    return batch
