"""Siamese Networks: the probabilities of pairs, the answers and the loss, worked out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.learners.embeddings.siamese_nets import SiameseNets

RANDOM = np.random.default_rng(0)
SUPPORT = RANDOM.standard_normal((6, 4)).astype(np.float32)
QUERY = RANDOM.standard_normal((5, 4)).astype(np.float32)
TARGETS = np.array([1, 0, 2, 1, 0, 2])
LABELS = np.array([0, 1, 2, 0, 1])
WEIGHTS, BIAS = np.array([-1.5, 0.5, -2.0], np.float32), np.float32(0.7)


@pytest.fixture
def learner():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh")])
    made = SiameseNets(model, 3, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy})
    made.weights.assign(WEIGHTS)
    made.bias.assign(BIAS)
    return made


def probabilities(learner, weights=WEIGHTS, bias=BIAS):
    """Returns p(same) of each query and support image."""
    (dense,) = learner.model.layers
    support, query = (
        np.tanh(x.astype(np.float64) @ dense.kernel.numpy() + dense.bias.numpy())
        for x in (SUPPORT, QUERY)
    )
    apart = np.abs(query[:, None] - support)
    return 1 / (1 + np.exp(-(apart @ weights + bias)))


def predicted(learner, chosen=slice(None), **options):
    state = learner.adapt(tf.constant(SUPPORT[chosen]), tf.constant(TARGETS[chosen]), **options)
    return tf.nn.softmax(learner.predict(state, tf.constant(QUERY))).numpy()


def scores(learner, labels, support=SUPPORT, targets=TARGETS):
    state = learner.adapt(tf.constant(support), tf.constant(targets))
    return learner.score(state, tf.constant(QUERY), tf.constant(labels))[0]


def test_answers_are_the_classes_means_of_the_probability_of_being_the_same(learner):
    same = probabilities(learner)
    means = np.stack([same[:, k == TARGETS].mean(1) for k in range(3)], 1)
    np.testing.assert_allclose(
        predicted(learner), means / means.sum(1, keepdims=True), rtol=1e-5, atol=1e-7
    )
    accuracy = (means.argmax(1) == LABELS).mean()
    np.testing.assert_allclose(scores(learner, LABELS)["accuracy"], accuracy, rtol=1e-6)


def test_the_mean_is_over_as_many_images_as_a_class_has(learner):
    chosen = [0, 1, 2, 3]  # Two of class 1, one of the others.
    same = probabilities(learner)
    means = np.stack([same[:, 1], (same[:, 0] + same[:, 3]) / 2, same[:, 2]], 1)
    expected = means / means.sum(1, keepdims=True)
    np.testing.assert_allclose(predicted(learner, chosen), expected, rtol=1e-5, atol=1e-7)


def test_the_loss_is_the_cross_entropy_of_pairs_each_kind_one_half(learner):
    p = probabilities(learner)
    same = LABELS[:, None] == TARGETS
    assert same.sum() == 10 and (~same).sum() == 20
    expected = 0.5 * -np.log(p[same]).mean() + 0.5 * -np.log(1 - p[~same]).mean()
    np.testing.assert_allclose(scores(learner, LABELS)["loss"], expected, rtol=1e-5)


def test_a_task_of_one_class_has_no_pairs_of_different_ones(learner):
    targets, labels = np.zeros(6, np.int64), np.zeros(5, np.int64)
    expected = 0.5 * -np.log(probabilities(learner)).mean()
    np.testing.assert_allclose(
        scores(learner, labels, targets=targets)["loss"], expected, rtol=1e-5
    )


def test_the_models_own_losses_count():
    dense = keras.layers.Dense(3, "tanh", kernel_regularizer=keras.regularizers.L2(0.1))
    learner = SiameseNets(keras.Sequential([keras.Input((4,)), dense]), 3)
    loss = scores(learner, LABELS)["loss"]
    extra = 0.1 * np.square(dense.kernel.numpy()).sum()
    p = probabilities(learner, learner.weights.numpy(), 0.0)
    same = LABELS[:, None] == TARGETS
    expected = 0.5 * -np.log(p[same]).mean() + 0.5 * -np.log(1 - p[~same]).mean() + extra
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_pairs_that_are_all_far_apart_are_still_told_from_each_other(learner):
    weights = np.full(3, -1000, np.float32)
    learner.weights.assign(weights)
    (dense,) = learner.model.layers
    support, query = (
        np.tanh(x @ dense.kernel.numpy() + dense.bias.numpy()) for x in (SUPPORT, QUERY)
    )
    apart = np.abs(query[:, None] - support) @ weights
    assert np.exp(np.float32(apart.max(1).min())) == 0
    largest = np.stack([apart[:, k == TARGETS].max(1) for k in range(3)], 1)
    np.testing.assert_array_equal(predicted(learner).argmax(1), largest.argmax(1))


def test_a_class_without_images_is_never_the_answer(learner):
    learner.weights.assign(1000 * WEIGHTS)
    assert (predicted(learner, TARGETS != 1)[:, 1] < 1e-20).all()


def test_order_does_not_matter(learner):
    order = [3, 5, 1, 0, 4, 2]
    np.testing.assert_allclose(predicted(learner, order), predicted(learner), atol=1e-6)


def test_the_weights_of_the_distance_are_meta_trained_and_may_come_from_outside(learner):
    *embedding, weights, bias = learner.meta_variables
    assert (weights, bias) == (learner.weights, learner.bias) and len(embedding) == 2
    values = [*map(tf.convert_to_tensor, embedding), tf.constant(2 * WEIGHTS), tf.constant(-BIAS)]
    same = probabilities(learner, 2 * WEIGHTS, -BIAS)
    means = np.stack([same[:, k == TARGETS].mean(1) for k in range(3)], 1)
    np.testing.assert_allclose(
        predicted(learner, values=values), means / means.sum(1, keepdims=True), rtol=1e-5, atol=1e-7
    )


def test_images_that_are_far_apart_begin_as_different(learner):
    fresh = SiameseNets(learner.model, 3)
    np.testing.assert_allclose(fresh.weights, [-1 / 3] * 3)
    assert float(fresh.bias) == 0


def test_an_embedding_in_float64_has_weights_of_its_type():
    layers = [keras.Input((4,), dtype="float64"), keras.layers.Dense(3, "tanh", dtype="float64")]
    made = SiameseNets(keras.Sequential(layers), 3)
    state = made.adapt(tf.constant(SUPPORT, tf.float64), tf.constant(TARGETS))
    assert made.predict(state, tf.constant(QUERY, tf.float64)).dtype == tf.float64
