"""A recurrent cell with an external memory, of memory-augmented neural networks (MANN).

With h_t the output of an LSTM, and for each head a key k_t and a gate a_t made of it:

    w^w_t = σ(a_t) w^r_{t−1} + (1 − σ(a_t)) w^lu_{t−1}     where to write: what was read last, or
                                                         the least used slots
    M_t(i) = M_{t−1}(i) + Σ_heads w^w_t(i) k_t             the least used slot is set to 0 before
    w^r_t(i) = softmax_i cos(k_t, M_t(i))
    r_t = Σ_i w^r_t(i) M_t(i)
    w^u_t = γ w^u_{t−1} + Σ_heads (w^r_t + w^w_t)

w^lu is 1 at the n least used slots, n the number of heads, and 0 elsewhere. The LSTM's input is
(x_t, y_{t−1}, r_{t−1}), and what is answered is linear in (h_t, r_t).

Source: Santoro et al. 2016, sections 3.1 and 3.2. Where the paper leaves it open, this does what
public implementations do: γ = 0.95, a memory of 10⁻⁶ at first, a tanh for keys, a gate for each
head, reading after writing; of slots that are used equally little, the first is the least used.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

INITIAL = 1e-6
"""What every number of the memory is before anything is written."""
EPSILON = 1e-6
"""Added to squared norms, so that an empty slot is like no key and its gradient stays small."""


class MemoryCell(keras.layers.Layer):
    """One step of an LSTM that writes to a memory and reads from it, for `keras.layers.RNN`.

    Its input is the LSTM's preactivations as far as x_t and y_{t−1} make them: their product with
    the weights is one for all steps of a sequence, outside the loop, which saves a fifth of the
    time.

    Attributes:
      state_size: numbers of each state: h, the LSTM's carry, r, w^r, w^u and M.
      output_size: numbers of the output, (h, r).
    """

    def __init__(
        self,
        units: int = 200,
        slots: int = 128,
        width: int = 40,
        heads: int = 4,
        decay: float = 0.95,
        seed: int = 0,
        **kwargs: Any,
    ):
        """Sets the sizes.

        Args:
          units: of the LSTM.
          slots: of the memory.
          width: numbers in a slot.
          heads: each makes a read and a write of a step.
          decay: γ.
          seed: the seed of the initial weights.
          **kwargs: of a Keras layer.
        """
        super().__init__(**kwargs)
        self.units, self.slots, self.width, self.heads = units, slots, width, heads
        self.decay, self.seed = decay, seed
        self.state_size = [units, units, heads * width, heads * slots, slots, slots * width]
        self.output_size = units + heads * width
        start = keras.initializers.GlorotUniform(keras.random.SeedGenerator(seed))
        self.recurrence = keras.layers.Dense(
            4 * units, kernel_initializer=start, bias_initializer=_remembering, name="recurrence"
        )
        self.interface = keras.layers.Dense(
            heads * (width + 1), kernel_initializer=start, name="interface"
        )

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights."""
        self.recurrence.build((input_shape[0], self.output_size))
        self.interface.build((input_shape[0], self.units))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Returns the states before the first step, each [batch_size, size]."""
        *others, memory = self.state_size
        empty = [ops.zeros((batch_size, size), self.compute_dtype) for size in others]
        return [*empty, ops.full((batch_size, memory), INITIAL, self.compute_dtype)]

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Makes a step.

        Args:
          inputs: [B, 4 · units].
          states: one [B, size] for each of `state_size`.

        Returns:
          [B, output_size], and the new states.
        """
        hidden, carry, reads, read_weights, usage, memory = states
        read_weights = ops.reshape(read_weights, (-1, self.heads, self.slots))
        memory = ops.reshape(memory, (-1, self.slots, self.width))
        hidden, carry = self._controller(inputs, hidden, carry, reads)
        keys, gates = self._interface(hidden)

        _, places = ops.top_k(-usage, self.heads)
        least = ops.one_hot(places, self.slots, dtype=memory.dtype)
        least_used = ops.sum(least, axis=1, keepdims=True)
        write_weights = gates * read_weights + (1.0 - gates) * least_used
        memory = memory * (1.0 - least[:, 0, :, None])
        memory = memory + ops.matmul(_swapped(write_weights), keys)

        read_weights = ops.softmax(cosines(keys, memory))
        reads = ops.matmul(read_weights, memory)
        usage = self.decay * usage + ops.sum(read_weights + write_weights, axis=1)

        new = [hidden, carry, reads, read_weights, usage, memory]
        new = [ops.reshape(v, (-1, size)) for v, size in zip(new, self.state_size, strict=True)]
        return ops.concatenate([hidden, new[2]], axis=-1), new

    def _controller(self, inputs: Any, hidden: Any, carry: Any, reads: Any) -> tuple[Any, Any]:
        """Makes the LSTM's step; returns h and its carry, [B, units]."""
        given = inputs + self.recurrence(ops.concatenate([hidden, reads], axis=-1))
        enter, keep, new, show = ops.split(given, 4, axis=-1)
        carry = ops.sigmoid(keep) * carry + ops.sigmoid(enter) * ops.tanh(new)
        return ops.sigmoid(show) * ops.tanh(carry), carry

    def _interface(self, hidden: Any) -> tuple[Any, Any]:
        """Returns the keys [B, heads, width] and the open gates σ(a) [B, heads, 1]."""
        made = self.interface(hidden)
        size = self.heads * self.width
        keys = ops.tanh(ops.reshape(made[:, :size], (-1, self.heads, self.width)))
        return keys, ops.sigmoid(made[:, size:, None])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that recreate the layer."""
        names = ("units", "slots", "width", "heads", "decay", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}


def cosines(keys: Any, memory: Any) -> Any:
    """Returns the cosine of each key with each slot, [B, heads, slots].

    Args:
      keys: [B, heads, width].
      memory: [B, slots, width].
    """
    products = ops.matmul(keys, _swapped(memory))
    of_keys, of_slots = (
        ops.rsqrt(ops.sum(ops.square(rows), axis=-1) + EPSILON) for rows in (keys, memory)
    )
    return products * of_keys[:, :, None] * of_slots[:, None, :]


def _swapped(matrices: Any) -> Any:
    """Returns [B, m, n] as [B, n, m].

    Products are by `ops.matmul` and not by `ops.einsum`: on CPUs with AVX-512 the einsum of
    TensorFlow 2.21 writes past its memory where several run at once, and the process ends.
    """
    return ops.transpose(matrices, (0, 2, 1))


def _remembering(shape: Sequence[int], dtype: str | None = None) -> Any:
    """Returns the LSTM's first bias: 1 for the gate that keeps the carry, 0 for the others."""
    return ops.repeat(ops.cast([0.0, 1.0, 0.0, 0.0], dtype), shape[0] // 4)
