"""What a loss or a metric gives for some examples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.memory_network import memory_network
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets
from trainers.learners.mann import Mann
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.stateless.scores import RESERVED, scored


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


def mean_square(targets, outputs):
    return tf.reduce_mean(squares(targets, outputs), axis=-1)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "loss",
    ["mse", keras.losses.mean_squared_error, keras.losses.MeanSquaredError(), mean_square],
)
def test_steps_that_a_mask_leaves_out_count_in_no_loss_and_no_metric(policy, loss):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    layers = [keras.layers.Masking(), keras.layers.Dense(1, kernel_initializer="ones")]
    model = keras.Sequential([keras.Input((3, 1)), *layers])
    keras.config.set_dtype_policy(before)
    learner = MetaLearner(
        model,
        loss,
        alpha_init=0.25,
        outer_loss=mean_square,
        metrics={"near": lambda t, o: tf.abs(t - o)[..., 0] < 1.5},
    )
    x = tf.constant([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]])[..., tf.newaxis]
    y = tf.ones([2, 3, 1])
    scores, _ = learner.score(learner.adapt(x, y, steps=0), x, y)
    # The outputs are 1, 2 and 3 where there is a step, and targets 1.
    np.testing.assert_allclose(scores["loss"], (0 + 1 + 4) / 3, rtol=1e-6)
    np.testing.assert_allclose(scores["near"], 2 / 3, rtol=1e-6)
    # By w and b the loss has the derivatives 2/3 (0·1 + 1·2 + 2·3) and 2/3 (0 + 1 + 2).
    kernel, bias = learner.adapt(x, y)
    np.testing.assert_allclose(kernel, [[1 - 0.25 * 16 / 3]], rtol=0.01)
    np.testing.assert_allclose(bias, [-0.25 * 2], rtol=0.01)
    values = [tf.convert_to_tensor(v) for v in learner.meta_variables]
    task, first = Episode(x, y, x, y), tf.constant(0, tf.int64)
    outer, scores, _ = learner.objective(values, task, tf.zeros([2], tf.int32), first)
    np.testing.assert_allclose(outer, scores["loss"], rtol=1e-6)


def test_a_score_of_whole_examples_is_as_it_is_whatever_mask_there_is():
    outputs = tf.constant([[[2.0], [3.0]], [[4.0], [5.0]]])
    outputs._keras_mask = tf.constant([[True, False], [True, False]])
    of_examples = scored("error", lambda t, o: tf.reduce_sum(o, [1, 2]), None, outputs)
    np.testing.assert_array_equal(of_examples, [5.0, 9.0])
    of_steps = scored("error", lambda t, o: o[..., 0], None, outputs)
    np.testing.assert_array_equal(of_steps, [[4.0, 0.0], [8.0, 0.0]])


def dense():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize(
    "learner",
    [
        lambda metrics: MetaLearner(dense(), "mse", metrics=metrics),
        lambda metrics: PrototypicalNets(dense(), "mse", 2, metrics=metrics),
        lambda metrics: Mann(
            memory_network((2,), 1, 0, units=2, slots=2, width=2, heads=1),
            "mse",
            classes=False,
            metrics=metrics,
        ),
    ],
)
def test_a_metric_in_place_of_what_training_tells_is_refused(learner, name):
    with pytest.raises(InputError, match=f"^metrics: has '{name}', which training calls a number"):
        learner({"near": squares, name: squares})


@pytest.mark.parametrize(
    "metric",
    [keras.metrics.SparseCategoricalAccuracy(), keras.metrics.MeanSquaredError, "accuracy"],
)
def test_a_metric_that_is_no_function_of_examples_is_refused(metric):
    with pytest.raises(InputError, match=r"^metrics: 'own' is .*; should be a function of \(targ"):
        MetaLearner(dense(), "mse", metrics={"near": squares, "own": metric})


def test_metrics_without_names_are_refused():
    with pytest.raises(InputError, match=r"^metrics=\['accuracy'\]: should be a dict of functions"):
        MetaLearner(dense(), "mse", metrics=["accuracy"])


def test_a_loss_object_may_be_a_metric():
    made = MetaLearner(dense(), "mse", metrics={"own": keras.losses.MeanAbsoluteError()})
    assert list(made.scores) == ["loss", "own"]
