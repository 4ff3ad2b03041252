"""Refuses what an outer step has made of the meta-trained variables where it is not finite."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainers.episodes import is_finite
from trainers.errors import DivergedError


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
