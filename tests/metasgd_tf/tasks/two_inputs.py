"""Tasks whose examples have a dict of inputs, as a user may write them."""

import keras
import tensorflow as tf

from trainers import Episode, TaskFamily
from trainers.seeds import fold_in, uniform

layers = keras.layers
STEPS = 3


class Sums(TaskFamily):
    """Numbers and tokens: a task is by how much each token counts, and the target is the sum."""

    input_shape = ((1,), (STEPS,))
    output_size = 1
    shots = 4
    metric = "mae"
    metric_mode = "min"

    def __init__(self):
        """Sets the metrics; the one of the family is not the first."""
        self.metrics = {
            "mse": keras.losses.mean_squared_error,
            "mae": keras.losses.mean_absolute_error,
        }

    @property
    def input_spec(self):
        return {
            "number": tf.TensorSpec((1,), tf.float32),
            "tokens": tf.TensorSpec((STEPS,), tf.int32),
        }

    def loss(self, targets, outputs):
        return keras.losses.mean_squared_error(targets, outputs)

    def episode(self, seed, split):
        worth = uniform(fold_in(seed, 0), [5])
        number = uniform(fold_in(seed, 1), [10, 1])
        tokens = tf.cast(5 * uniform(fold_in(seed, 2), [10, STEPS]), tf.int32)
        targets = number + tf.reduce_sum(tf.gather(worth, tokens), -1, keepdims=True)
        first, rest = (
            {"number": number[part], "tokens": tokens[part]}
            for part in (slice(0, self.shots), slice(self.shots, None))
        )
        return Episode(first, targets[: self.shots], rest, targets[self.shots :])


def family(settings, splits):
    return Sums()


def network(input_shape, output_size, seed):
    """Returns an LSTM that reads the tokens beside the number."""
    keras.utils.set_random_seed(seed)
    number, steps = input_shape
    inputs = {
        "number": keras.Input(number, name="number"),
        "tokens": keras.Input(steps, dtype="int32", name="tokens"),
    }
    read = layers.LSTM(4)(layers.Embedding(5, 3)(inputs["tokens"]))
    together = layers.Concatenate()([inputs["number"], read])
    return keras.Model(inputs, layers.Dense(output_size)(together))
