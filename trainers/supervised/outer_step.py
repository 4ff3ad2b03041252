"""The outer step of Algorithm 1: what an iteration changes."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainers.learners.learner import Learner
from trainers.replicas import taken_as_they_are
from trainers.update_rule import Tensors

Variables = Sequence[keras.Variable | tf.Variable]


def moved(learner: Learner, state: Tensors) -> tuple[Variables, Tensors]:
    """Returns the moving variables that an objective has assigned to, and their new values.

    The mean over tasks of what is the same in all of them may be another number by rounding, so
    that what is to stay has to be left out.

    Args:
      learner: what is trained, its objective traced.
      state: the means of the new values of all its `moving_variables`.
    """
    kept = {id(variable) for variable in learner.kept_variables}
    pairs = zip(learner.moving_variables, state, strict=True)
    moving = [(variable, value) for variable, value in pairs if id(variable) not in kept]
    return [variable for variable, _ in moving], [value for _, value in moving]


def outer_step(
    optimizer: keras.optimizers.Optimizer,
    variables: Variables,
    gradient: Tensors,
    moving: Variables,
    state: Tensors,
    finite: tf.Tensor | None = None,
) -> None:
    """Makes an outer step, or changes nothing where `finite` is given and false.

    In a compiled program it costs nothing to choose between values, where a branch takes a copy of
    each.

    Args:
      optimizer: the outer optimizer, built for `variables`.
      variables: what is meta-trained.
      gradient: by each of them.
      moving: the model's other variables.
      state: their new values.
      finite: scalar (bool).
    """
    changed = [*variables, *optimizer.variables, *moving]
    before = [] if finite is None else [tf.convert_to_tensor(one) for one in changed]
    optimizer.apply(gradient, variables)
    for variable, value in zip(moving, state, strict=True):
        variable.assign(value)
    for variable, value in zip(changed, before, strict=finite is not None):
        variable.assign(tf.where(finite, tf.convert_to_tensor(variable), value))


def outer_step_of_replicas(
    strategy: tf.distribute.Strategy,
    optimizer: keras.optimizers.Optimizer,
    variables: Variables,
    gradient: Tensors,
    moving: Variables,
    state: Tensors,
    finite: tf.Tensor | None = None,
) -> None:
    """Makes the same `outer_step` on every replica of a strategy."""

    def update(gradient: Tensors, state: Tensors, finite: tf.Tensor | None) -> None:
        outer_step(optimizer, variables, gradient, moving, state, finite)

    with taken_as_they_are(optimizer):
        strategy.run(update, args=(gradient, state, finite))
