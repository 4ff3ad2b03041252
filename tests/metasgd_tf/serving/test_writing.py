"""What an export holds, and that TensorFlow alone runs it."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.tools import saved_model_cli
from tensorflow_serving.apis import prediction_log_pb2

from metasgd_tf.serving import writing
from metasgd_tf.serving.writing import export
from tests.serving_exports import (
    WAYS,
    Served,
    answered_elsewhere,
    answers,
    assert_plain,
    drawings,
    sinusoid_run,
    softmax,
)

IMAGES = ["classify_images", "classify_images_steps"]
ALONE = ["transductive", "support", "sinusoid", "grey folder"]
OTHERS = ["adapt", "adapt_steps", "predict", "serving_default", "serving_default_steps"]


def saved_model(version):
    return saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())


def request(run):
    rng = np.random.default_rng(0)
    shape, ways = run.family.input_shape, run.family.output_size
    # Few enough for both to normalise by the same operations: after others, which round in another
    # way, a ReLU's input near 0 may lie on its other side, and that is more than 1e-5.
    count = 2 if run.trained_on == "sinusoid" else ways
    asked = {
        "support_inputs": rng.random((3, count, *shape), np.float32),
        "support_targets": np.tile(np.arange(count, dtype=np.int32), (3, 1)),
        "query_inputs": rng.random((3, 4, *shape), np.float32),
    }
    if run.trained_on == "sinusoid":
        asked["support_targets"] = rng.random((3, count, 1), np.float32)
    return asked


@pytest.fixture(scope="module")
def elsewhere(exports, tmp_path_factory):
    """Requests to exports, and what each is answered, by the exports' names."""
    requests = [request(exports(name)[0]) for name in ALONE]
    asked_of = [(exports(name)[1], asked) for name, asked in zip(ALONE, requests, strict=True)]
    given = answered_elsewhere(asked_of, tmp_path_factory.mktemp("elsewhere"))
    return dict(zip(ALONE, zip(requests, given, strict=True), strict=True))


@pytest.mark.parametrize("name", ALONE)
def test_tensorflow_alone_gives_what_the_trainer_gives(exports, elsewhere, name):
    asked, given = elsewhere[name]
    outputs = answers(exports(name)[0].learner, *asked.values())
    for loader in ("load", "session"):
        if name == "sinusoid":
            np.testing.assert_allclose(given[f"{loader}/predictions"], outputs, rtol=0, atol=1e-5)
            continue
        probabilities = softmax(outputs)
        np.testing.assert_allclose(
            given[f"{loader}/probabilities"], probabilities, rtol=0, atol=1e-5
        )
        np.testing.assert_array_equal(given[f"{loader}/classes"], probabilities.argmax(-1))


def test_saved_model_cli_shows_the_signatures(exports, capsys):
    version = exports("transductive")[1]
    capsys.readouterr()
    saved_model_cli._show_all(str(version))  # What its `show --all` calls, in another process.
    shown = capsys.readouterr().out
    parts = {part.split("'")[0]: part for part in shown.split("signature_def['")[1:]}
    assert set(IMAGES + OTHERS) <= set(parts)
    lines = " ".join(parts["serving_default"].split())
    for text in (
        "inputs['support_inputs'] tensor_info: dtype: DT_FLOAT shape: (-1, -1, 28, 28, 1)",
        "inputs['support_targets'] tensor_info: dtype: DT_INT32 shape: (-1, -1)",
        "inputs['query_inputs'] tensor_info: dtype: DT_FLOAT shape: (-1, -1, 28, 28, 1)",
        "outputs['probabilities'] tensor_info: dtype: DT_FLOAT shape: (-1, -1, 5)",
        "outputs['classes'] tensor_info: dtype: DT_INT32 shape: (-1, -1)",
        "Method name is: tensorflow/serving/predict",
    ):
        assert text in lines, lines
    assert "inputs['inner_steps']" in parts["adapt_steps"]
    assert "DT_STRING" in parts["classify_images"]


def test_regression_has_no_signature_for_images(exports):
    (meta_graph,) = saved_model(exports("sinusoid")[1]).meta_graphs
    names = {name for name in meta_graph.signature_def if not name.startswith("__")}
    assert names == set(OTHERS)
    shape = meta_graph.signature_def["serving_default"].inputs["support_targets"].tensor_shape
    assert [dimension.size for dimension in shape.dim] == [-1, -1, 1]


@pytest.mark.parametrize("name", ["transductive", "support", "folder", "sinusoid", "navigation"])
def test_the_graph_has_neither_xla_nor_python(exports, name):
    assert_plain(exports(name)[1])


@pytest.mark.slow
def test_warm_up_requests_are_good_ones(exports, served):
    for name, signatures in (
        ("transductive", IMAGES + OTHERS),
        ("sinusoid", OTHERS),
        ("navigation", ["serving_default"]),
    ):
        _, version = exports(name)
        file = version / "assets.extra" / "tf_serving_warmup_requests"
        records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        requests = [
            prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            for record in records
        ]
        assert {one.model_spec.signature_name for one in requests} == set(signatures)
        ask = served(Served, name)
        for one in requests:
            inputs = {key: tf.make_ndarray(value) for key, value in one.inputs.items()}
            given = ask(one.model_spec.signature_name, **inputs)
            assert all(np.all(np.isfinite(value)) for value in given.values())
        assert file.stat().st_size < 10_000


def test_an_export_says_where_it_comes_from(exports):
    _, version = exports("support")
    facts = json.loads((version / "assets.extra" / "export.json").read_text(encoding="utf-8"))
    expected = {
        "task": "omniglot",
        "algorithm": "meta_sgd",
        "input_shape": [28, 28, 1],
        "ways": 5,
        "inner_steps": 2,
        "batch_norm": "support",
        "checkpoint": "last",
        "iteration": 7,
    }
    assert {name: facts[name] for name in expected} == expected
    assert facts["versions"]["tensorflow"] == tf.__version__


def test_an_export_is_small(exports):
    _, version = exports("transductive")
    size = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    assert size < 4_000_000
    text = (version / "saved_model.pb").read_bytes()
    assert os.getcwd().encode() not in text and str(version.parent).encode() not in text


def test_an_export_does_not_change_with_the_learner(tmp_path):
    run = sinusoid_run()
    version = export(run, str(tmp_path))
    x = np.ones([1, 4, 1], np.float32)
    before = answers(run.learner, x, x, x)
    for weight in run.learner.theta:
        weight.assign(weight * 2)
    given = Served(version)("serving_default", support_inputs=x, support_targets=x, query_inputs=x)
    np.testing.assert_allclose(given["predictions"], before, rtol=0, atol=1e-5)


def test_what_fails_on_its_way_leaves_nothing(tmp_path, monkeypatch):
    run = sinusoid_run()
    export(run, str(tmp_path))

    def fail(*_):
        assert len(list(tmp_path.iterdir())) == 2  # One is whole, the other aside.
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.warmup, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        export(run, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_adaptation_is_what_an_export_is_for(served):
    """Else the tests above would hold for a learner that ignores its support set."""
    ask = served(Served, "transductive")
    support = {"support_inputs": drawings(0, 1, WAYS), "query_inputs": drawings(0, 1, WAYS)}
    targets = np.arange(WAYS, dtype=np.int32)[np.newaxis]
    one = ask("serving_default", **support, support_targets=targets)
    other = ask("serving_default", **support, support_targets=targets[:, ::-1].copy())
    assert np.abs(one["probabilities"] - other["probabilities"]).max() > 0.05
