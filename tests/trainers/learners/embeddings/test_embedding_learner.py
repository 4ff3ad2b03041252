"""Learners that compare embeddings: their answers worked out in NumPy, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.embeddings.embedding_learner import without_last_layer
from trainers.learners.embeddings.matching_nets import MatchingNets
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets
from trainers.supervised.gradient_check import check_meta_gradient

RANDOM = np.random.default_rng(0)
SUPPORT = RANDOM.standard_normal((6, 4)).astype(np.float32)
QUERY = RANDOM.standard_normal((5, 4)).astype(np.float32)
TARGETS = np.array([1, 0, 2, 1, 0, 2])
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def model(*extra):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), *extra])


def embedded(learner, inputs):
    (dense,) = learner.model.layers
    return np.tanh(inputs @ dense.kernel.numpy() + dense.bias.numpy())


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def predicted(learner, **options):
    state = learner.adapt(tf.constant(SUPPORT), tf.constant(TARGETS), **options)
    return softmax(learner.predict(state, tf.constant(QUERY)).numpy())


def by_prototypes(support, query):
    prototypes = np.stack([support[k == TARGETS].mean(0) for k in range(3)])
    distances = ((query[:, None] - prototypes) ** 2).sum(-1)
    return softmax(-distances)


def test_prototypes_are_means_and_answers_follow_from_distances():
    learner = PrototypicalNets(model(), LOSS, 3)
    expected = by_prototypes(embedded(learner, SUPPORT), embedded(learner, QUERY))
    np.testing.assert_allclose(predicted(learner), expected, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 7.5])
def test_attention_is_a_softmax_of_cosines_and_classes_are_its_sums(temperature):
    learner = MatchingNets(model(), LOSS, 3, temperature=temperature)
    support, query = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (embedded(learner, SUPPORT), embedded(learner, QUERY))
    )
    attention = softmax(temperature * query @ support.T)
    expected = np.stack([attention[:, k == TARGETS].sum(1) for k in range(3)], 1)
    np.testing.assert_allclose(predicted(learner), expected, atol=1e-6)
    # The loss is minus the logarithm of the summed attention.
    labels = np.array([0, 1, 2, 0, 1])
    state = learner.adapt(tf.constant(SUPPORT), tf.constant(TARGETS))
    loss = learner.score(state, tf.constant(QUERY), tf.constant(labels))[0]["loss"]
    expected_loss = -np.log(expected[np.arange(5), labels]).mean()
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)


def test_attention_too_small_for_a_float_has_its_logarithm_and_its_slope():
    """At a large temperature the attention to a wrong class is below e^-103, which rounds to 0."""
    learner = MatchingNets(model(), LOSS, 4, temperature=100.0)
    support, query = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (embedded(learner, x.astype(np.float64)) for x in (SUPPORT, QUERY))
    )
    attention = softmax(100.0 * query @ support.T)
    expected = np.log(np.stack([attention[:, k == TARGETS].sum(1) for k in range(3)], 1))
    assert expected.min() < -104
    state = learner.adapt(tf.constant(SUPPORT), tf.constant(TARGETS))
    logits = learner.predict(state, tf.constant(QUERY))
    np.testing.assert_allclose(logits[:, :3], expected, atol=1e-3)
    # A class without an image has the same constant as at other temperatures.
    np.testing.assert_allclose(logits[:, 3], np.log(1e-30), rtol=1e-6)
    # The right class is the one that each query is the least like.
    worst = tf.constant(expected.argmin(1))
    rows = tf.constant(embedded(learner, QUERY))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = tf.reduce_sum(LOSS(worst, learner.logits(state["kept"], rows, [])))
    slope = tape.gradient(loss, rows).numpy()
    nudge = 1e-4 * slope / np.linalg.norm(slope)

    def in_numpy(rows):
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        attention = softmax(100.0 * rows @ support.T)
        right = expected.argmin(1)[:, np.newaxis] == TARGETS
        return -np.log((attention * right).sum(1)).mean()

    rows = embedded(learner, QUERY.astype(np.float64))
    difference = (in_numpy(rows + nudge) - in_numpy(rows - nudge)) / 2e-4
    np.testing.assert_allclose(np.linalg.norm(slope), difference, rtol=1e-3)


@pytest.mark.parametrize("kind", [PrototypicalNets, MatchingNets])
def test_the_order_of_the_support_set_does_not_matter(kind):
    learner = kind(model(), LOSS, 3)
    order = [3, 5, 1, 0, 4, 2]
    state = learner.adapt(tf.constant(SUPPORT[order]), tf.constant(TARGETS[order]))
    again = softmax(learner.predict(state, tf.constant(QUERY)).numpy())
    np.testing.assert_allclose(again, predicted(learner), atol=1e-6)


@pytest.mark.parametrize("kind", [PrototypicalNets, MatchingNets])
def test_a_class_without_images_is_never_the_answer(kind):
    learner = kind(model(), LOSS, 3)
    some = TARGETS != 1
    state = learner.adapt(tf.constant(SUPPORT[some]), tf.constant(TARGETS[some]))
    probabilities = softmax(learner.predict(state, tf.constant(QUERY)).numpy())
    assert (probabilities[:, 1] < 1e-20).all()


@pytest.mark.parametrize("kind", [PrototypicalNets, MatchingNets])
def test_weights_from_outside_are_used_in_both_embeddings(kind):
    learner = kind(model(), LOSS, 3)
    given = [tf.convert_to_tensor(weight) * 2.0 for weight in learner.meta_variables]
    moved = predicted(learner, values=given)
    for weight in learner.meta_variables:
        weight.assign(weight * 2.0)
    np.testing.assert_allclose(moved, predicted(learner), atol=1e-6)


def test_training_has_as_many_classes_as_it_is_given():
    learner = PrototypicalNets(model(), LOSS, 2, train_ways=3)
    support = tf.constant(SUPPORT), tf.constant(TARGETS)
    assert learner.adapt(*support, training=True)["kept"]["prototypes"].shape == (3, 3)
    assert learner.adapt(*support)["kept"]["prototypes"].shape == (2, 3)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    labels = np.array([0, 1, 2, 0, 1])
    task = Episode(*support, tf.constant(QUERY), tf.constant(labels))
    seed, first = tf.constant([1, 2]), tf.constant(0, tf.int64)
    loss, _, _ = learner.objective(values, task, seed, first)
    answers = by_prototypes(embedded(learner, SUPPORT), embedded(learner, QUERY))
    np.testing.assert_allclose(loss, -np.log(answers[range(5), labels]).mean(), rtol=1e-5)
    with pytest.raises(InputError, match="tasks of training have other ways"):
        check_meta_gradient(learner, task)


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_whose_statistics_a_query_is_normalised_by(batch_norm):
    norm = keras.layers.BatchNormalization()
    learner = PrototypicalNets(model(norm), LOSS, 3, batch_norm=batch_norm)
    assert learner.normalises_together == (batch_norm == "transductive")
    first = learner.model.layers[0]
    support, query = (np.tanh(x @ first.kernel.numpy()) for x in (SUPPORT, QUERY))
    of_query = query if batch_norm == "transductive" else support
    normalised = [
        (rows - by.mean(0)) / np.sqrt(by.var(0) + 1e-3)
        for rows, by in ((support, support), (query, of_query))
    ]
    np.testing.assert_allclose(predicted(learner), by_prototypes(*normalised), atol=1e-5)


def test_the_embedding_is_what_the_last_layer_is_given():
    classifier = model(keras.layers.Dense(5, name="last"))
    embedding = without_last_layer(classifier)
    assert embedding.output_shape == (None, 3)
    np.testing.assert_allclose(embedding(SUPPORT), classifier.layers[0](SUPPORT))
    assert len(embedding.trainable_variables) == 2


def test_what_follows_the_last_layer_is_taken_away_with_it():
    classifier = model(keras.layers.Dense(5), keras.layers.Activation("linear", dtype="float32"))
    embedding = without_last_layer(classifier)
    np.testing.assert_allclose(embedding(SUPPORT), classifier.layers[0](SUPPORT))


def functional(layers):
    inputs = outputs = keras.Input((3,))
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("nested", [keras.Sequential, functional])
@pytest.mark.parametrize("deeper", [False, True])
def test_of_a_last_layer_within_another_model_the_rest_of_it_stays(nested, deeper):
    head = [keras.layers.Dense(5), keras.layers.Softmax()]
    head = [keras.Sequential(head)] if deeper else head
    classifier = model(nested([keras.layers.ReLU(), *head]))
    embedding = without_last_layer(classifier)
    expected = np.maximum(classifier.layers[0](SUPPORT), 0.0)
    np.testing.assert_allclose(embedding(SUPPORT), expected, atol=1e-6)
    assert len(embedding.trainable_variables) == 2


def test_weights_before_the_last_layer_within_another_model_stay():
    within = model(keras.layers.Dense(5))
    embedding = without_last_layer(keras.Sequential([keras.Input((4,)), within]))
    np.testing.assert_allclose(embedding(SUPPORT), within.layers[0](SUPPORT), atol=1e-6)


class Head(keras.Model):
    def __init__(self):
        super().__init__(name="head")
        self.dense = keras.layers.Dense(5)

    def call(self, x):
        return self.dense(keras.ops.relu(x))


def test_a_call_of_ones_own_is_refused_within_another_model_too():
    head = Head()
    head(np.ones((1, 3), np.float32))
    for classifier in (head, model(head)):
        with pytest.raises(InputError, match="model='head': has a call of its own"):
            without_last_layer(classifier)


def test_what_gives_no_vectors_is_refused():
    image = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3, name="only")])
    with pytest.raises(InputError, match=r"gives outputs of shape .* should give vectors \[N, D\]"):
        PrototypicalNets(image, LOSS, 3)
    with pytest.raises(InputError, match="batch_norm='mine': should be one of transductive, supp"):
        MatchingNets(model(), LOSS, 3, batch_norm="mine")
