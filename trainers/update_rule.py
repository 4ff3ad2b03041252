"""The update rule of Meta-SGD: how a task is learned from its support set.

    θ' = θ − α ∘ ∇L(θ)                                       (Li et al. 2017, Algorithm 1)

Everything that adapts calls `adapt`: the outer loops, evaluation and export. Meta-SGD, MAML and
their relatives differ in α (see `trainers.learners.alpha`) and in `first_order`, in nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from trainers.errors import InputError

Tensors = list[tf.Tensor]


def adapt(
    loss: Callable[[Tensors, int], tf.Tensor],
    theta: Sequence[tf.Tensor],
    alpha: Sequence[tf.Tensor],
    steps: int = 1,
    *,
    first_order: bool | tf.Tensor = False,
    names: Sequence[str] | None = None,
) -> Tensors:
    """Returns the fast weights θ' after `steps` updates θ ← θ − α ∘ ∇L(θ).

    A pure function: no variable is changed, and an outer `tf.GradientTape` can differentiate the
    result with respect to θ and α, through the inner gradient.

    Args:
      loss: maps weights and the number of the step (0 is the first) to the scalar loss on the
        support set. The number is there for what must differ from step to step, such as dropout
        masks or freshly sampled trajectories.
      theta: the weights θ, any shapes, floating.
      alpha: one learning rate for each weight, of its shape or broadcastable to it.
      steps: how many updates to make; 0 returns θ.
      first_order: whether to treat the inner gradient as a constant in the outer one (first-order
        MAML, Finn et al. 2017, section 5.2); a scalar tensor where that changes in training.
      names: the names of the weights, for error messages.

    Raises:
      InputError: if the loss does not depend on some weight, which the message names.
    """
    weights = [tf.convert_to_tensor(weight) for weight in theta]
    for step in range(steps):
        gradient = gradients(lambda w, step=step: loss(w, step), weights, names)  # type: ignore[misc]
        if tf.is_tensor(first_order):
            gradient = [tf.where(first_order, tf.stop_gradient(g), g) for g in gradient]
        elif first_order:
            gradient = [tf.stop_gradient(g) for g in gradient]
        weights = [w - a * g for w, a, g in zip(weights, alpha, gradient, strict=True)]
    return weights


def gradients(
    loss: Callable[[Tensors], tf.Tensor], weights: Tensors, names: Sequence[str] | None = None
) -> Tensors:
    """Returns ∇L at `weights`, one dense tensor for each weight and of its shape.

    Raises:
      InputError: if the loss does not depend on some weight, which the message names.
    """
    return loss_and_gradients(loss, weights, names)[1]


def loss_and_gradients(
    loss: Callable[[Tensors], tf.Tensor], weights: Tensors, names: Sequence[str] | None = None
) -> tuple[tf.Tensor, Tensors]:
    """Returns L at `weights`, and what `gradients` gives."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        value = loss(weights)
    return value, dense(tape.gradient(value, weights), names)


def dense(gradient: Sequence[Any], names: Sequence[str] | None = None) -> Tensors:
    """Returns what a tape gives as dense tensors.

    Raises:
      InputError: if there is no gradient by some weight, which the message names.
    """
    for index, g in enumerate(gradient):
        if g is None:
            name = names[index] if names else f"number {index}"
            raise InputError(
                f"the loss does not depend on the weight {name}, so it has no gradient: remove "
                "the weight from the model, set its layer's trainable=False, or use it"
            )
    # An embedding's gradient arrives as IndexedSlices, which α ∘ ∇L cannot multiply.
    return [tf.convert_to_tensor(g) for g in gradient]
