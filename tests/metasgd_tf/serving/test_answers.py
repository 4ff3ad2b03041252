"""What an export answers, through both loaders, beside what the learner itself gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.serving_exports import WAYS, Loaded, Served, answers, drawings, softmax
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets

LOADERS = (Loaded, Served)
TARGETS = np.arange(WAYS, dtype=np.int32)


def request(tasks=2, queries=7, seed=0):
    return {
        "support_inputs": drawings(seed, tasks, WAYS),
        "support_targets": np.tile(TARGETS, (tasks, 1)),
        "query_inputs": drawings(seed + 1, tasks, queries),
    }


def assert_close(one, other):
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.fixture(scope="module", params=LOADERS)
def transductive(request, served):
    return served(request.param, "transductive")


@pytest.fixture(scope="module", params=LOADERS)
def by_support(request, served):
    return served(request.param, "support")


@pytest.mark.parametrize("name", ["transductive", "support"])
@pytest.mark.parametrize("loader", LOADERS)
def test_probabilities_and_classes_are_the_learners(exports, served, name, loader):
    run, _ = exports(name)
    asked = request()
    given = served(loader, name)("serving_default", **asked)
    probabilities = softmax(answers(run.learner, *asked.values()))
    assert given["probabilities"].shape == (2, 7, WAYS)
    assert given["probabilities"].dtype == np.float32 and given["classes"].dtype == np.int32
    assert_close(given["probabilities"], probabilities)
    np.testing.assert_array_equal(given["classes"], probabilities.argmax(-1))
    # Adapted: θ alone says something else.
    assert np.abs(probabilities - softmax(answers(run.learner, *asked.values(), 0))).max() > 0.01


@pytest.mark.parametrize("loader", LOADERS)
def test_regression_predicts_numbers(exports, served, loader):
    run, _ = exports("sinusoid")
    x = np.linspace(-5, 5, 24, dtype=np.float32).reshape(2, 12, 1)
    asked = {
        "support_inputs": x[:, ::2],
        "support_targets": 3 * np.sin(x[:, ::2]),
        "query_inputs": x[:, :5],
    }
    ask = served(loader, "sinusoid")
    given = ask("serving_default", **asked)
    assert list(given) == ["predictions"] and given["predictions"].shape == (2, 5, 1)
    assert_close(given["predictions"], answers(run.learner, *asked.values()))
    query = asked.pop("query_inputs")
    (state,) = ask("adapt", **asked).values()
    again = ask("predict", state=state, query_inputs=query)["predictions"]
    assert_close(again, given["predictions"])


def test_the_state_of_a_task_answers_later(transductive, by_support):
    for ask in (transductive, by_support):
        asked = request()
        whole = ask("serving_default", **asked)
        query = asked.pop("query_inputs")
        (state,) = ask("adapt", **asked).values()
        again = ask("predict", state=state, query_inputs=query)
        assert_close(again["probabilities"], whole["probabilities"])
        np.testing.assert_array_equal(again["classes"], whole["classes"])


@pytest.mark.parametrize("name", ["transductive", "support", "sinusoid"])
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_number_of_steps_may_be_asked_for(exports, served, name, loader, steps):
    run, _ = exports(name)
    asked = request()
    if name == "sinusoid":
        rng = np.random.default_rng(0)
        asked = {key: rng.random((2, 5, 1), np.float32) for key in asked}
    ask = served(loader, name)
    given = ask("serving_default_steps", **asked, inner_steps=np.int32(steps))
    outputs = answers(run.learner, *asked.values(), steps)
    assert_close(given.get("predictions", 0), outputs if name == "sinusoid" else 0)
    assert_close(given.get("probabilities", 0), 0 if name == "sinusoid" else softmax(outputs))
    query = asked.pop("query_inputs")
    (state,) = ask("adapt_steps", **asked, inner_steps=np.int32(steps)).values()
    again = ask("predict", state=state, query_inputs=query)
    for key, value in again.items():
        assert_close(value, given[key])


def test_a_session_honours_the_default_number_of_steps(served):
    ask = served(Served, "support")
    asked = request()
    assert ask.signatures["serving_default_steps"].defaults["inner_steps"].int_val == [2]
    assert_close(
        ask("serving_default_steps", **asked)["probabilities"],
        ask("serving_default", **asked)["probabilities"],
    )


def test_python_demands_the_number_of_steps(served):
    with pytest.raises(TypeError, match="inner_steps"):
        served(Loaded, "support")("serving_default_steps", **request())


def test_absent_classes_get_nothing(transductive):
    asked = request(1)
    asked["support_targets"] = np.array([[0, 3, 3, 0, 3]], np.int32)
    given = transductive("serving_default", **asked)
    np.testing.assert_array_equal(given["probabilities"][..., [1, 2, 4]], 0)
    np.testing.assert_allclose(given["probabilities"].sum(-1), 1, rtol=1e-6)
    assert set(given["classes"].ravel()) <= {0, 3}
    query = asked.pop("query_inputs")
    (state,) = transductive("adapt", **asked).values()
    again = transductive("predict", state=state, query_inputs=query)
    assert_close(again["probabilities"], given["probabilities"])


def test_an_absent_class_takes_no_share_of_the_others(exports, served):
    """What is left is the softmax over the classes that are there, after the same adaptation."""
    run, _ = exports("transductive")
    asked = request(1)
    asked["support_targets"] = np.array([[0, 3, 3, 0, 3]], np.int32)
    logits = answers(run.learner, *asked.values())[..., [0, 3]]
    given = served(Loaded, "transductive")("serving_default", **asked)
    given = given["probabilities"][..., [0, 3]]
    assert_close(given, softmax(logits))


def test_shots_may_be_uneven_and_examples_in_any_order(transductive):
    asked = request(1)
    asked["support_inputs"] = drawings(5, 1, 9)
    asked["support_targets"] = np.array([[4, 0, 0, 1, 0, 2, 3, 4, 0]], np.int32)
    given = transductive("serving_default", **asked)["probabilities"]
    order = np.random.default_rng(0).permutation(9)
    asked["support_inputs"] = asked["support_inputs"][:, order]
    asked["support_targets"] = asked["support_targets"][:, order]
    assert_close(transductive("serving_default", **asked)["probabilities"], given)


def test_tasks_do_not_influence_one_another(transductive):
    asked = request(3)
    together = transductive("serving_default", **asked)["probabilities"]
    for task in range(3):
        alone = {key: value[task : task + 1] for key, value in asked.items()}
        assert_close(transductive("serving_default", **alone)["probabilities"][0], together[task])
    # More tasks than are in flight at once, each twice.
    many = {key: np.tile(value, (6, *[1] * (value.ndim - 1))) for key, value in asked.items()}
    given = transductive("serving_default", **many)["probabilities"]
    assert_close(given, np.tile(together, (6, 1, 1)))


def test_by_the_support_sets_statistics_queries_do_not_depend_on_one_another(by_support):
    asked = request(1, queries=6)
    together = by_support("serving_default", **asked)["probabilities"]
    for query in range(6):
        one = asked | {"query_inputs": asked["query_inputs"][:, query : query + 1]}
        assert_close(
            by_support("serving_default", **one)["probabilities"][0, 0], together[0, query]
        )


def test_transductive_queries_do_depend_on_one_another(transductive):
    asked = request(1)
    together = transductive("serving_default", **asked)["probabilities"]
    one = asked | {"query_inputs": asked["query_inputs"][:, :1]}
    alone = transductive("serving_default", **one)["probabilities"]
    assert np.abs(alone[0, 0] - together[0, 0]).max() > 1e-3


@pytest.mark.parametrize("name", ["transductive", "support", "sinusoid"])
def test_queries_beyond_one_part_are_answered_alike(exports, name, monkeypatch):
    from metasgd_tf.serving import prediction

    run, _ = exports(name)
    shape = run.family.input_shape
    rng = np.random.default_rng(1)
    spread = 3 * rng.random([23] + [1] * len(shape)).astype(np.float32)
    inputs = tf.constant(rng.random((23, *shape), np.float32) + spread)
    count = run.family.output_size
    targets = tf.zeros([23, 1]) if name == "sinusoid" else tf.range(23) % WAYS
    weights = run.learner.adapt(inputs, targets)
    # Parts of 5, so that the last one is smaller than the others.
    monkeypatch.setattr(prediction, "QUERY_NUMBERS", 5 * int(np.prod(shape)))
    predict = prediction.prediction(
        run.learner,
        tf.TensorSpec([None, *shape]),
        tf.TensorSpec([None, count]),
    )
    np.testing.assert_allclose(
        tf.function(predict)(weights, inputs),
        run.learner.predict(weights, inputs),
        rtol=1e-5,
        atol=2e-5,
    )


def test_queries_that_embeddings_normalise_together_are_not_parted(monkeypatch):
    from metasgd_tf.serving import prediction

    seeds = keras.random.SeedGenerator(0)
    embedding = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seeds)),
            keras.layers.BatchNormalization(),
        ]
    )
    learner = PrototypicalNets(embedding, "mse", WAYS)
    rng = np.random.default_rng(1)
    # Each query has a spread of its own, so that parts have other statistics than the whole.
    inputs = tf.constant(rng.normal(size=[23, 3]) * np.arange(1, 24)[:, None], tf.float32)
    state = learner.adapt(inputs[:WAYS], tf.range(WAYS))
    monkeypatch.setattr(prediction, "QUERY_NUMBERS", 5 * 3)  # Parts of 5.
    predict = prediction.prediction(learner, tf.TensorSpec([None, 3]), tf.TensorSpec([None, WAYS]))
    np.testing.assert_allclose(
        tf.function(predict)(state, inputs), learner.predict(state, inputs), rtol=1e-5, atol=1e-5
    )
    first = learner.predict(state, inputs[:5])
    assert np.abs(first - learner.predict(state, inputs)[:5]).max() > 0.1
