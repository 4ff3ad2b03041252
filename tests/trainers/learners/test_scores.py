"""What a loss or a metric gives for some examples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.learner import scored
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform


def squares(targets, outputs):
    return tf.square(targets - outputs)


@pytest.mark.parametrize(("targets", "outputs"), [([3], [3, 1]), ([3, 1], [3])])
def test_a_score_of_each_target_with_each_output_is_refused(targets, outputs):
    with pytest.raises(InputError, match=r"^error: gives numbers \(3, 3\) for targets .*\(3,\)$"):
        scored("error", squares, tf.zeros(targets), tf.zeros(outputs))


@pytest.mark.parametrize(
    ("score", "targets", "outputs"),
    [
        (squares, [3, 1], [3, 1]),
        (squares, [1], [1, 1]),
        # Of as many tokens as there are examples, and of two distances between all pairs of these.
        (squares, [3, 3], [3, 3]),
        (lambda t, o: tf.norm(o[:, tf.newaxis] - o, axis=-1), [3], [3, 2]),
        (lambda t, o: tf.reduce_mean(squares(t, o)), [3], [3, 1]),
        (lambda t, o: tf.reshape(squares(t, o), [-1]), [3, 4], [3, 4]),
    ],
)
def test_other_shapes_of_scores_pass(score, targets, outputs):
    targets, outputs = (uniform(tf.constant([n, 0]), s) for n, s in enumerate((targets, outputs)))
    expected = np.asarray(score(targets, outputs))
    np.testing.assert_array_equal(scored("error", score, targets, outputs), expected)


def test_an_outer_loss_of_each_with_each_is_refused_by_its_name():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    learner = MetaLearner(model, "mse", outer_loss=squares)
    x, y = tf.ones([3, 2]), tf.ones([3])
    values = [tf.convert_to_tensor(v) for v in learner.meta_variables]
    with pytest.raises(InputError, match="^outer_loss: gives numbers"):
        learner.objective(values, Episode(x, y, x, y), tf.zeros([2], tf.int32), tf.constant(0))
