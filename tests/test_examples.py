"""The clients as a person runs them, against TF Serving's interfaces backed by an export."""

import json
import pathlib
import urllib.error
import urllib.request

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from metasgd_tf.clients import drawings
from tests.metasgd_tf.shell import command
from tests.prediction_service import grpc_server, rest_server
from tests.serving_exports import WAYS, Served

ROOT = pathlib.Path(__file__).resolve().parents[1]
CLIENTS = {
    "examples.classify_by_rest": rest_server,
    "examples.classify_by_grpc": grpc_server,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawings")
    drawings.write(str(path))
    return path


def run(client, server, folder):
    folders = [f"--support_dir={folder / 'support'}", f"--query_dir={folder / 'query'}"]
    return command(client, f"--server={server}", *folders)


def expected(served, folder):
    names = sorted(drawings.SYMBOLS)
    support = [(folder / "support" / name / "0.png").read_bytes() for name in names]
    queries = sorted((folder / "query").iterdir())
    given = served(
        "classify_images",
        support_inputs=np.array([support], object),
        support_targets=np.arange(WAYS, dtype=np.int32)[np.newaxis],
        query_inputs=np.array([[path.read_bytes() for path in queries]], object),
    )
    return [
        [path.name, names[chosen], f"{row[chosen]:.4f}"]
        for path, chosen, row in zip(
            queries, given["classes"][0], given["probabilities"][0], strict=True
        )
    ]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_prints_what_the_export_answers(served, folder, client):
    ask = served(Served, "transductive")
    with CLIENTS[client](ask) as server:
        done = run(client, server, folder)
    assert done.returncode == 0, done.stderr
    assert [line.split("\t") for line in done.stdout.splitlines()] == expected(ask, folder)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_passes_on_what_a_server_refuses(served, folder, tmp_path, client):
    drawings.write(str(tmp_path))
    (tmp_path / "query" / "notes.txt").write_text("no image", encoding="utf-8")
    with CLIENTS[client](served(Served, "transductive")) as server:
        done = run(client, server, tmp_path)
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert "the bytes are no PNG or JPEG" in done.stderr
        assert run(client, server, folder).returncode == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_is_not_there_is_named(folder, client):
    server = "127.0.0.1:9" if "grpc" in client else "http://127.0.0.1:9"
    done = run(client, server, folder)
    assert done.returncode != 0 and server in done.stderr and "Traceback" not in done.stderr


def test_rest_wants_the_number_of_steps_where_it_is_an_input(served):
    inputs = {
        "support_inputs": np.zeros([1, 2, 28, 28, 1]).tolist(),
        "support_targets": [[0, 1]],
        "query_inputs": np.zeros([1, 1, 28, 28, 1]).tolist(),
    }

    def ask(server, name, asked):
        body = json.dumps({"signature_name": name, "inputs": asked}).encode()
        url = f"{server}/v1/models/omniglot:predict"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=600) as reply:
            return json.load(reply)["outputs"]

    with rest_server(served(Served, "transductive")) as server:
        own = ask(server, "serving_default", inputs)
        asked = ask(server, "serving_default_steps", inputs | {"inner_steps": 1})
        np.testing.assert_allclose(asked["probabilities"], own["probabilities"], atol=1e-5)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server, "serving_default_steps", inputs)
    assert "Missing named input: inner_steps" in json.load(refused.value)["error"]
    refused.value.close()


def test_the_models_config_is_one():
    text = (ROOT / "examples" / "models.config").read_text(encoding="utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("omniglot", "/models/omniglot")
    assert model.model_platform == "tensorflow"
