"""The recurrent cell whose state is the weights of another network: the meta-learner of Meta-LSTM.

    h_t, m_t = LSTM(x_t, h_{t−1}, m_{t−1})
    f̃_t = W_f [h_t, θ_{t−1}, f̃_{t−1}] + b_f
    ĩ_t = W_i [h_t, θ_{t−1}, ĩ_{t−1}] + b_i
    θ_t = σ(f̃_t) θ_{t−1} − σ(ĩ_t) g_t

Each coordinate of θ is a sequence of its own; all share the LSTM, W and b. x_t are features of the
gradient g_t and of the loss.

Source: Ravi and Larochelle 2017, section 3. The paper hands a gate's value on to the next step. The
authors' code hands on the value before the sigmoid, at first 0, and so does this. Initial values
are as in their code: within ±0.01 but for b_f in [4, 5] and b_i in [−5, −4], so that a step is at
first one of gradient descent with a rate of about 0.01, and a decay of as much.
"""

from collections.abc import Sequence
from typing import Any

import keras

FEATURES = 4
SMALL = (-0.01, 0.01)
FORGET_BIAS = (4.0, 5.0)
INPUT_BIAS = (-5.0, -4.0)


class MetaLSTMCell(keras.layers.Layer):
    """A cell for any number P of coordinates.

    Attributes:
      lstm: the LSTM below the gates.
      gate_kernel: W_f and W_i, [units + 2, 2].
      forget_bias: b_f, [1].
      input_bias: b_i, [1].
    """

    def __init__(self, units: int, seed: int, **options: Any):
        """Makes a cell with its variables.

        Args:
          units: hidden units of the LSTM.
          seed: the seed of the initial values.
          **options: those of any layer, such as `dtype`.
        """
        super().__init__(**options)
        seeds = keras.random.SeedGenerator(seed)

        def between(least: float, most: float) -> keras.Initializer:
            return keras.initializers.RandomUniform(least, most, seed=seeds)

        self.lstm = keras.layers.LSTMCell(
            units,
            kernel_initializer=between(*SMALL),
            recurrent_initializer=between(*SMALL),
            bias_initializer=between(*SMALL),
            unit_forget_bias=False,
            dtype=self.dtype_policy,
        )
        self.lstm.build((None, FEATURES))
        self.gate_kernel = self.add_weight((units + 2, 2), between(*SMALL), name="gate_kernel")
        self.forget_bias = self.add_weight((1,), between(*FORGET_BIAS), name="forget_bias")
        self.input_bias = self.add_weight((1,), between(*INPUT_BIAS), name="input_bias")
        self.built = True

    def initial_state(self, theta: Any) -> list[Any]:
        """Returns the state before the first step.

        Args:
          theta: θ_0, [P].
        """
        zeros = keras.ops.zeros_like(theta)[:, None]
        gates, *hidden = (
            keras.ops.repeat(zeros, size, axis=1) for size in (2, *self.lstm.state_size)
        )
        return [theta, gates, *hidden]

    def call(self, inputs: Sequence[Any], states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Makes one step.

        Args:
          inputs: x_t [P, 4] and g_t [P].
          states: what `initial_state` or the step before gave.

        Returns:
          θ_t [P], and the next state.
        """
        features, gradient = inputs
        theta, gates, *hidden = states
        output, hidden = self.lstm(features, hidden)
        of_output, of_theta, of_gates = keras.ops.split(
            self.gate_kernel, (self.lstm.units, self.lstm.units + 1)
        )
        bias = keras.ops.concatenate([self.forget_bias, self.input_bias])
        gates = keras.ops.matmul(output, of_output) + gates * of_gates + bias
        gates += theta[:, None] * of_theta
        forget, input_ = keras.ops.unstack(keras.ops.sigmoid(gates), 2, axis=1)
        theta = forget * theta - input_ * gradient
        return theta, [theta, gates, *hidden]
