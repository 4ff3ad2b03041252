"""Policies of continuous actions: a normal distribution for each state."""

from collections.abc import Sequence
from typing import Any

import keras


class LogStandardDeviation(keras.layers.Layer):
    """Appends a learned log standard deviation, the same in every state, to the means."""

    def __init__(self, initial_value: float = 0.0, **kwargs: Any):
        """Sets the initial log standard deviation; at 0 the standard deviation is 1."""
        super().__init__(**kwargs)
        self.initial_value = initial_value

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates one weight for each coordinate of an action."""
        self.log_std = self.add_weight(
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial_value),
            name="log_std",
        )

    def call(self, means: Any) -> Any:
        """Maps means [N, A] to means and log standard deviations, [N, 2 A]."""
        return keras.ops.concatenate(
            [means, keras.ops.broadcast_to(self.log_std, keras.ops.shape(means))], axis=-1
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        return super().get_config() | {"initial_value": self.initial_value}


def gaussian_mlp(
    input_shape: tuple[int, ...],
    output_size: int,
    seed: int,
    *,
    hidden: Sequence[int] = (100, 100),
    state_dependent: bool = False,
) -> keras.Model:
    """Builds MAML's policy for 2D navigation: 2-100-100-2 with ReLU and a log standard deviation.

    Args:
      input_shape: shape of a state, flat.
      output_size: twice the number of coordinates of an action: means, then log standard
        deviations.
      seed: the seed of the initial weights.
      hidden: widths of the hidden layers.
      state_dependent: whether the log standard deviations are outputs of the network like the
        means, instead of weights that are the same in every state.

    Returns:
      A model from `[N, *input_shape]` to [N, output_size], float32. Log standard deviations
      start at 0, or close to it.

    Source: Finn et al. 2017, section 5.3.
    """
    initializer = keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(seed))
    layers = [
        keras.layers.Dense(
            width, activation="relu", kernel_initializer=initializer, name=f"hidden_{number}"
        )
        for number, width in enumerate(hidden, start=1)
    ]
    size = output_size if state_dependent else output_size // 2
    layers.append(keras.layers.Dense(size, kernel_initializer=initializer, name="output"))
    if not state_dependent:
        layers.append(LogStandardDeviation(name="log_std"))
    return keras.Sequential([keras.Input(input_shape), *layers], name="policy")


def gaussian_mlp_of_state(input_shape: tuple[int, ...], output_size: int, seed: int) -> keras.Model:
    """Builds `gaussian_mlp` with log standard deviations that depend on the state."""
    return gaussian_mlp(input_shape, output_size, seed, state_dependent=True)
