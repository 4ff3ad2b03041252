"""The outer optimizer of a run's flags: its kind, its learning rate over time, what it averages."""

from typing import Any

import keras
import tensorflow as tf
from absl import flags

NOT_DECAYED = ["alpha", "beta", "bias", "gamma"]
"""Names of variables that weight decay leaves alone; those of α begin with the first."""


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a straight line to what it would be, and is that from then.

    Iteration i (0 is the first) of the first n has the share (i + 1) / n of it.
    """

    def __init__(self, rate: float | keras.optimizers.schedules.LearningRateSchedule, count: int):
        """Takes the rate, which may change over time, and how many iterations it rises for."""
        self._rate, self._count = rate, count

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate after `step` iterations."""
        rate = self._rate(step) if callable(self._rate) else self._rate
        return rate * tf.minimum((tf.cast(step, tf.float32) + 1.0) / self._count, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"rate": self._rate, "count": self._count}


class AdamWithAlphaRate(keras.optimizers.Adam):
    """Adam whose learning rate is another one for α than for θ."""

    def __init__(self, rate: Any, factor: float, **options: Any):
        """Takes the learning rate, what it is multiplied by for α, and options of Adam."""
        super().__init__(rate, **options)
        self._factor = factor
        self._of_alpha: set[int] = set()

    def build(self, variables: list[Any]) -> None:
        """Makes the optimizer's variables for these, of which α's are TensorFlow's own."""
        super().build(variables)
        self._of_alpha = {
            number
            for number, one in enumerate(variables)
            if isinstance(one, tf.Variable) and one.path.startswith("alpha/")
        }

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        """Updates one variable."""
        is_alpha = self._get_variable_index(variable) in self._of_alpha
        super().update_step(
            gradient, variable, learning_rate * self._factor if is_alpha else learning_rate
        )


def outer_optimizer(settings: flags.FlagValues) -> keras.optimizers.Optimizer | None:
    """Makes the outer optimizer of a run's flags, resolved; None for `trpo`, not one of Keras."""
    if settings.optimizer == "trpo":
        return None
    rate = _rate(settings)
    options = {"global_clipnorm": settings.clip_norm, "weight_decay": settings.weight_decay}
    if settings.ema_momentum is not None:
        options |= {"use_ema": True, "ema_momentum": settings.ema_momentum}
    if settings.optimizer == "sgd":
        made = keras.optimizers.SGD(rate, momentum=settings.momentum, **options)
    elif settings.alpha_rate_factor is not None:
        made = AdamWithAlphaRate(rate, settings.alpha_rate_factor, **options)
    else:
        made = keras.optimizers.Adam(rate, **options)
    if settings.weight_decay is not None:
        made.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return made


def _rate(settings: flags.FlagValues) -> float | keras.optimizers.schedules.LearningRateSchedule:
    rate = settings.meta_learning_rate
    if settings.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.iterations)
    elif settings.decay == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(
            rate, settings.iterations, end_learning_rate=0.0
        )
    return WarmUp(rate, settings.warmup_iterations) if settings.warmup_iterations else rate
