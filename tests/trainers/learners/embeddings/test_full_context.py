"""Full-context embeddings: both LSTMs worked out in NumPy, and what depends on the order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.learners.embeddings.full_context import FullContext
from trainers.learners.embeddings.matching_nets import MatchingNets

SIZE = 3
RANDOM = np.random.default_rng(0)
SUPPORT = RANDOM.standard_normal((4, SIZE)).astype(np.float32)
QUERY = RANDOM.standard_normal((2, SIZE)).astype(np.float32)
TARGETS = np.array([0, 1, 1, 0])
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def lstm(weights, x, h, c):
    """Returns h and c after a step; Keras has the gates in the order input, forget, new, output."""
    kernel, recurrent, bias = weights
    i, f, new, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
    return sigmoid(o) * np.tanh(c), c


def support_in_numpy(weights, embedded):
    outputs = np.array(embedded, np.float64)
    for own, order in ((weights[:3], range(4)), (weights[3:6], reversed(range(4)))):
        h = c = np.zeros(SIZE)
        for number in order:
            h, c = lstm(own, embedded[number], h, c)
            outputs[number] += h
    return outputs


def queries_in_numpy(weights, embedded, support, reads):
    h, c = embedded, np.zeros_like(embedded)
    for _ in range(reads):
        read = softmax(h @ support.T) @ support
        output, c = lstm(weights[6:], np.concatenate([embedded, read], 1), h, c)
        h = output + embedded
    return h


@pytest.fixture
def context():
    made = FullContext(SIZE, seed=0, reads=2)
    for number, weight in enumerate(made.weights):  # Biases begin as 0 or 1.
        random = np.random.default_rng(number)
        weight.assign(weight + 0.3 * random.standard_normal(weight.shape))
    return made


def numbers(context):
    return [weight.numpy().astype(np.float64) for weight in context.weights]


def tensors(context):
    return [tf.convert_to_tensor(weight) for weight in context.weights]


def test_the_support_set_is_read_in_both_directions(context):
    found = context.support(tf.constant(SUPPORT), tensors(context))
    np.testing.assert_allclose(found, support_in_numpy(numbers(context), SUPPORT), atol=1e-5)


def test_a_query_reads_the_support_set_in_steps(context):
    found = context.queries(tf.constant(QUERY), tf.constant(SUPPORT), tensors(context))
    expected = queries_in_numpy(numbers(context), QUERY, SUPPORT, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    one = queries_in_numpy(numbers(context), QUERY, SUPPORT, 1)
    assert np.abs(one - expected).max() > 1e-2


def test_weights_from_outside_are_used(context):
    given = [tf.convert_to_tensor(weight) * 1.5 for weight in context.weights]
    values = [weight.numpy() for weight in given]
    support = context.support(tf.constant(SUPPORT), given)
    np.testing.assert_allclose(support, support_in_numpy(values, SUPPORT), atol=1e-5)
    found = context.queries(tf.constant(QUERY), support, given)
    expected = queries_in_numpy(values, QUERY, support.numpy(), 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_they_are_drawn_by_the_seed():
    first, again, other = (FullContext(SIZE, seed) for seed in (0, 0, 1))
    for a, b, c in zip(first.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
        assert "bias" in a.path or not np.array_equal(a, c)


def matching(full_context, dtype="float32"):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(SIZE, "tanh", dtype=dtype)
    model = keras.Sequential([keras.Input((SIZE,), dtype=dtype), dense])
    return MatchingNets(model, LOSS, 2, temperature=4.0, full_context=full_context)


def predicted(learner, order=(0, 1, 2, 3)):
    support = tf.constant(SUPPORT[list(order)]), tf.constant(TARGETS[list(order)])
    return tf.nn.softmax(learner.predict(learner.adapt(*support), tf.constant(QUERY))).numpy()


def expected_answers(learner):
    (dense,) = learner.model.layers
    support, query = (
        np.tanh(x @ dense.kernel.numpy() + dense.bias.numpy()) for x in (SUPPORT, QUERY)
    )
    weights = numbers(learner.context)
    support = support_in_numpy(weights, support)
    query = queries_in_numpy(weights, query, support, 3)
    support, query = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (support, query))
    attention = softmax(4.0 * query @ support.T)
    return np.stack([attention[:, k == TARGETS].sum(1) for k in range(2)], 1)


@pytest.fixture(params=["float32", "float64", "mixed_float16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_matching_nets_compare_what_both_become(policy):
    learner = matching(full_context=True)
    assert {v.dtype for v in learner.context.weights} == {"float32"}
    np.testing.assert_allclose(predicted(learner), expected_answers(learner), atol=1e-5)
    assert [id(v) for v in learner.meta_variables[2:]] == [id(v) for v in learner.context.weights]


def test_context_of_an_embedding_in_float64_is_in_float64():
    learner = matching(full_context=True, dtype="float64")
    support = tf.constant(SUPPORT, tf.float64), tf.constant(TARGETS)
    logits = learner.predict(learner.adapt(*support), tf.constant(QUERY, tf.float64))
    assert logits.dtype == tf.float64
    np.testing.assert_allclose(tf.nn.softmax(logits), expected_answers(learner), atol=1e-12)


def test_the_order_of_the_support_set_enters_with_it_and_not_without():
    order = (3, 1, 0, 2)
    plain = matching(full_context=False)
    assert plain.context is None and len(plain.meta_variables) == 2
    np.testing.assert_allclose(predicted(plain, order), predicted(plain), atol=1e-6)
    learner = matching(full_context=True)
    assert np.abs(predicted(learner, order) - predicted(learner)).max() > 1e-3
