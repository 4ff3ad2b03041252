"""Lines whose network says how sure it is: two outputs a target, and a loss that is the score.

Their support sets differ in size.
"""

import tensorflow as tf

from examples.lines import Lines
from trainers import Episode
from trainers.seeds import fold_in, uniform


class UncertainLines(Lines):
    """Outputs are the mean and the logarithm of the variance of a normal distribution."""

    output_size = 2
    target_spec = tf.TensorSpec((1,), tf.float32)
    metric = "loss"

    def __init__(self, shots, queries):
        """Leaves the loss as the only score."""
        super().__init__(shots, queries)
        self.metrics = {}

    def loss(self, targets, outputs):
        """Returns the negative logarithm of the density without its constant, [N]."""
        mean, log_variance = outputs[:, 0], outputs[:, 1]
        return ((targets[:, 0] - mean) ** 2 * tf.exp(-log_variance) + log_variance) / 2

    def episode(self, seed, split):
        """Leaves the first two or more of the support points."""
        whole = super().episode(seed, split)
        left = 2 + tf.cast((self.shots - 1) * uniform(fold_in(seed, 9), []), tf.int32)
        support = whole.support_inputs[:left], whole.support_targets[:left]
        return Episode(*support, whole.query_inputs, whole.query_targets)


def family(settings, splits):
    return UncertainLines(settings.shots, settings.queries)
