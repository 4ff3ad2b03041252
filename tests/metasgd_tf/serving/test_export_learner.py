"""Learners that were trained from Python, exported: nested inputs, several outputs, precisions."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.serving.writing import export_learner
from tests.serving_exports import Loaded, Served, answers, softmax
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.embeddings.siamese_nets import SiameseNets
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_trainer import MetaTrainer

layers = keras.layers
CLASSES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SIGNATURES = {"serving_default", "serving_default_steps", "adapt", "adapt_steps", "predict"}


def people(seed):
    """Draws examples of three kinds of inputs, and one of two classes for each."""
    random = np.random.default_rng(seed)
    words = random.integers(0, 3, (10, 2))
    inputs = {
        "age": tf.constant(random.random((10, 1)), tf.float32),
        "words": tf.strings.as_string(words),
        "nested": (tf.constant(words, tf.int32),),
    }
    targets = tf.constant([0, 1] * 5)
    parts = [tf.nest.map_structure(lambda v, cut=cut: v[cut], inputs) for cut in (SUPPORT, QUERY)]
    return Episode(parts[0], targets[SUPPORT], parts[1], targets[QUERY])


PARTS = ("support", "query")
SUPPORT, QUERY = slice(0, 4), slice(4, 10)


def model_of_three_inputs():
    inputs = {
        "age": keras.Input((1,), name="age"),
        "words": keras.Input((2,), dtype="string", name="words"),
        "nested": (keras.Input((2,), dtype="int32"),),
    }
    known = layers.StringLookup(vocabulary=["0", "1"], output_mode="multi_hot")(inputs["words"])
    read = layers.SimpleRNN(3)(layers.Embedding(4, 3)(inputs["nested"][0]))
    together = layers.Concatenate()([inputs["age"], known, read])
    return keras.Model(inputs, layers.Dense(2)(together))


def batched(episode):
    """Returns a request of one task for `serving_default`, with the names of the export."""
    asked = {"support_targets": episode.support_targets}
    for part in ("support", "query"):
        inputs = getattr(episode, f"{part}_inputs")
        asked[f"{part}_inputs_age"] = inputs["age"]
        asked[f"{part}_inputs_words"] = inputs["words"]
        asked[f"{part}_inputs_nested_0"] = inputs["nested"][0]
    return {name: value.numpy()[np.newaxis] for name, value in asked.items()}


@pytest.fixture(scope="module")
def of_people(tmp_path_factory):
    keras.utils.set_random_seed(1)
    learner = MetaLearner(model_of_three_inputs(), CLASSES, alpha_init=0.5, inner_steps=2)
    MetaTrainer(learner, lambda seed: people(0), jit_compile=False, meta_batch_size=1).train(2)
    folder = tmp_path_factory.mktemp("people")
    return learner, export_learner(learner, people(1), str(folder), classifies=True)


@pytest.fixture(scope="module")
def held(of_people):
    """Gives the export, held by a loader, loaded once."""
    return functools.cache(lambda loader: loader(of_people[1]))


@pytest.mark.parametrize("loader", [Loaded, Served])
def test_inputs_in_a_dict_are_inputs_of_the_signatures(of_people, held, loader):
    learner, _ = of_people
    episode, served = people(2), held(loader)
    asked = batched(episode)
    weights = learner.adapt(*episode[:2])
    expected = softmax(learner.predict(weights, episode.query_inputs))
    given = served("serving_default", **asked)
    np.testing.assert_allclose(given["probabilities"][0], expected, atol=1e-5)
    np.testing.assert_array_equal(given["classes"][0], expected.argmax(-1))
    support = {name: value for name, value in asked.items() if not name.startswith("query")}
    queries = {name: value for name, value in asked.items() if name.startswith("query")}
    state = served("adapt", **support)["state"]
    given = served("predict", state=state, **queries)
    np.testing.assert_allclose(given["probabilities"][0], expected, atol=1e-5)


def test_signatures_are_those_of_a_runs_export(held):
    signatures = held(Served).signatures
    assert set(signatures) - {"__saved_model_init_op"} == SIGNATURES
    shapes = {
        name: [size.size for size in info.tensor_shape.dim]
        for name, info in signatures["serving_default"].inputs.items()
    }
    assert shapes == {
        "support_inputs_age": [-1, -1, 1],
        "support_inputs_nested_0": [-1, -1, 2],
        "support_inputs_words": [-1, -1, 2],
        "support_targets": [-1, -1],
        "query_inputs_age": [-1, -1, 1],
        "query_inputs_nested_0": [-1, -1, 2],
        "query_inputs_words": [-1, -1, 2],
    }


@pytest.mark.parametrize(
    ("name", "cut", "message"),
    [
        ("support_inputs_words", np.s_[:, :3], "support_inputs_words: should be one for each of "),
        ("query_inputs_nested_0", np.s_[:, :3], "query_inputs_nested_0: should be one for each "),
        ("query_inputs_age", np.s_[:, :, :0], "query_inputs_age: should be of shape [B, M, 1]"),
        ("support_targets", np.s_[:, :3], "support_targets: should be one for each of support_"),
    ],
)
def test_inputs_that_do_not_fit_each_other_are_refused(held, name, cut, message):
    asked = batched(people(2))
    asked[name] = asked[name][cut]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        held(Loaded)("serving_default", **asked)
    assert message in str(caught.value)


@pytest.mark.slow
def test_several_outputs_are_several_predictions(tmp_path):
    keras.utils.set_random_seed(1)
    x = keras.Input((3,))
    both = {"mean": layers.Dense(2)(x), "spread": layers.Dense(1, "softplus")(x)}
    random = np.random.default_rng(0)
    inputs = tf.constant(random.random((8, 3)), tf.float32)
    targets = {"mean": inputs[:, :2], "spread": inputs[:, 2:]}

    def loss(targets, outputs):
        return tf.add_n([tf.reduce_sum((targets[n] - outputs[n]) ** 2, -1) for n in targets])

    learner = MetaLearner(keras.Model(x, both), loss, alpha_init=0.1)
    version = export_learner(learner, Episode(inputs, targets, inputs, targets), str(tmp_path))
    given = Loaded(version)(
        "serving_default",
        support_inputs=inputs[None, :4],
        support_targets_mean=targets["mean"][None, :4],
        support_targets_spread=targets["spread"][None, :4],
        query_inputs=inputs[None],
    )
    weights = learner.adapt(inputs[:4], tf.nest.map_structure(lambda t: t[:4], targets))
    expected = learner.predict(weights, inputs)
    assert set(given) == {"predictions_mean", "predictions_spread"}
    for name, value in expected.items():
        np.testing.assert_allclose(given[f"predictions_{name}"][0], value, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_a_learner_answers_in_its_precision_and_half_as_float32(policy, tmp_path):
    floatx = "float64" if policy == "float64" else "float32"
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
        learner = MetaLearner(model, "mse", alpha_init=0.1)
        random = np.random.default_rng(0)
        inputs, targets = (tf.constant(random.random((4, n)), floatx) for n in (2, 1))
        version = export_learner(learner, Episode(inputs, targets, inputs, targets), str(tmp_path))
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    x, y = inputs.numpy()[None], targets.numpy()[None]
    given = Loaded(version)("serving_default", support_inputs=x, support_targets=y, query_inputs=x)
    expected = answers(learner, x, y, x)
    assert given["predictions"].dtype == floatx
    np.testing.assert_allclose(given["predictions"], expected.astype(floatx), atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "units", "message"),
    [
        ([[0.5]] * 4, 2, "the episode's targets are .* should be class numbers"),
        ([0, 1, 0, 1], (2, 1), "the model's outputs are .* should be the logits of the classes"),
    ],
)
def test_what_is_no_classification_is_refused(targets, units, message, tmp_path):
    x = keras.Input((2,))
    outputs = (
        layers.Dense(units)(x)
        if isinstance(units, int)
        else [layers.Dense(count)(x) for count in units]
    )
    learner = MetaLearner(
        keras.Model(x, outputs),
        lambda _, o: tf.add_n([out[:, 0] for out in tf.nest.flatten(o)]),
    )
    inputs, targets = tf.zeros([4, 2]), tf.constant(targets)
    episode = Episode(inputs, targets, inputs, targets)
    with pytest.raises(InputError, match=f"^classifies=True: {message}"):
        export_learner(learner, episode, str(tmp_path / "out"), classifies=True)
    assert not (tmp_path / "out").exists()


def test_probabilities_in_place_of_logits_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, "softmax", name="last")])
    learner = MetaLearner(model, keras.losses.SparseCategoricalCrossentropy())
    x, y = tf.zeros([4, 2]), tf.constant([0, 1, 2, 0])
    with pytest.raises(InputError, match="by the softmax of its layer last .*should give logits"):
        export_learner(learner, Episode(x, y, x, y), str(tmp_path / "out"), classifies=True)
    assert not (tmp_path / "out").exists()


def test_an_embedding_may_end_in_a_sigmoid(tmp_path):
    embedding = keras.Sequential([keras.Input((2,)), layers.Dense(4, "sigmoid")])
    learner = SiameseNets(embedding, ways=2)
    x, y = tf.eye(2), tf.constant([0, 1])
    version = export_learner(learner, Episode(x, y, x, y), str(tmp_path), classifies=True)
    given = Loaded(version)(
        "serving_default", support_inputs=x[None], support_targets=y[None], query_inputs=x[None]
    )
    expected = softmax(learner.predict(learner.adapt(x, y), x))
    np.testing.assert_allclose(given["probabilities"][0], expected, atol=1e-5)


def test_keys_that_give_one_name_are_refused(tmp_path):
    inputs = {"a_b": keras.Input((1,), name="a_b"), "a": {"b": keras.Input((1,))}}
    outputs = layers.Dense(1)(layers.Add()([inputs["a_b"], inputs["a"]["b"]]))
    learner = MetaLearner(keras.Model(inputs, outputs), "mse")
    x = {"a_b": tf.zeros([2, 1]), "a": {"b": tf.zeros([2, 1])}}
    episode = Episode(x, tf.zeros([2, 1]), x, tf.zeros([2, 1]))
    with pytest.raises(InputError, match="^support_inputs: its tensors would be called"):
        export_learner(learner, episode, str(tmp_path))


def test_keys_may_have_letters_of_any_language(tmp_path):
    inputs = {name: keras.Input((1,), name=name) for name in ("größe", "z")}
    outputs = layers.Dense(1)(layers.Add()(list(inputs.values())))
    learner = MetaLearner(keras.Model(inputs, outputs), "mse")
    x = {name: tf.ones([2, 1]) for name in inputs}
    episode = Episode(x, tf.zeros([2, 1]), x, tf.zeros([2, 1]))
    version = export_learner(learner, episode, str(tmp_path / "out"))
    signature = tf.saved_model.load(version).signatures["serving_default"]
    assert "support_inputs_gr__e" in signature.structured_input_signature[1]


@pytest.mark.parametrize("kind", ["int16", "int8", "uint16"])
def test_class_numbers_may_be_any_integers(kind, tmp_path):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = tf.eye(2), tf.constant([0, 2], kind)
    learner = MetaLearner(model, loss)
    version = export_learner(learner, Episode(x, y, x, y), str(tmp_path / "out"), classifies=True)
    answer = tf.saved_model.load(version).signatures["serving_default"](
        support_inputs=x[tf.newaxis], support_targets=y[tf.newaxis], query_inputs=x[tf.newaxis]
    )
    assert answer["probabilities"].shape == (1, 2, 3)


def test_an_input_may_be_of_truth_values(tmp_path):
    inputs = {"x": keras.Input((2,)), "known": keras.Input((2,), dtype="bool")}
    known = keras.ops.where(inputs["known"], inputs["x"], 0.0)
    learner = MetaLearner(keras.Model(inputs, layers.Dense(1)(known)), "mse")
    x = {"x": tf.ones([3, 2]), "known": tf.constant([[True, False]] * 3)}
    version = export_learner(
        learner, Episode(x, tf.ones([3, 1]), x, tf.ones([3, 1])), str(tmp_path)
    )
    asked = {f"{part}_inputs_{n}": v[tf.newaxis] for part in PARTS for n, v in x.items()}
    given = Loaded(version)("serving_default", support_targets=tf.ones([1, 3, 1]), **asked)
    expected = learner.predict(learner.adapt(x, tf.ones([3, 1])), x)
    np.testing.assert_allclose(given["predictions"][0], expected, atol=1e-6)


class Hidden(keras.layers.Layer):
    """A layer with a variable that nothing can find."""

    def build(self, shape):
        del shape
        variable = tf.Variable(2.0)
        self.read = lambda: variable

    def call(self, x):
        return x * self.read()


def test_a_model_that_reads_what_is_not_its_own_is_refused_in_a_sentence(tmp_path):
    model = keras.Sequential([keras.Input((1,)), Hidden(), layers.Dense(1)], name="own")
    learner = MetaLearner(model, "mse")
    x = tf.zeros([2, 1])
    with pytest.raises(InputError, match="^model='own': cannot be exported, as it reads a var"):
        export_learner(learner, Episode(x, x, x, x), str(tmp_path))
    assert not list(tmp_path.iterdir())
