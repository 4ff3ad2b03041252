"""Refuses what an outer step has made of the meta-trained variables where it is not finite.

And what was to keep gradients from overflowing and would have outer steps be next to nothing.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainers.episodes import is_finite
from trainers.errors import DivergedError, InputError


def refuse_overflow(variables: Sequence[keras.Variable | tf.Variable], done: int) -> None:
    """Checks that all variables are finite after `done` meta-iterations.

    Raises:
      DivergedError: if one is not; the message names it.
    """
    for variable in variables:
        if not is_finite(variable):
            name = getattr(variable, "path", variable.name)
            raise DivergedError(
                f"meta-iteration {done} was not finite: its outer step left {name} so; try a lower "
                "meta_learning_rate, or clip_norm"
            )


def refuse_unfit(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable | tf.Variable]
) -> None:
    """Checks that an optimizer can make outer steps of variables.

    It must divide gradients by no scale of the loss. Keras's own training multiplies the loss by
    it, and here nothing does: a float16 model scales its gradients itself
    (`trainers.stateless.gradient_scale`).

    Args:
      optimizer: built for nothing yet, or for these variables.
      variables: what it will be built for.

    Raises:
      InputError: if it divides by a scale, or has been built for other variables.
    """
    by_class = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if by_class or optimizer.loss_scale_factor is not None:
        cause = "LossScaleOptimizer" if by_class else "loss_scale_factor"
        raise InputError(
            f"optimizer={optimizer.name!r}: {cause} divides gradients by what the loss is not "
            "multiplied by here, as float16 models scale their gradients themselves; leave it out"
        )
    # Keras does not build it a second time, and says what is wrong at its first step only.
    keys = {optimizer._var_key(variable) for variable in variables}
    if optimizer.built and set(optimizer._trainable_variables_indices) != keys:
        raise InputError(
            f"optimizer={optimizer.name!r}: has been built for other variables than these of the "
            "learner; make an optimizer for each trainer"
        )
