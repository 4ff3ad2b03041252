"""The server of the page: what it sends, and what it refuses in one sentence."""

import json
import os
import signal
import time
import urllib.request

import pytest

from metasgd_tf.webpage.reading import RequestError, field
from tests.metasgd_tf.shell import ROOT, assert_refused, command, read, start
from trainers.errors import InputError

pytest.importorskip("flask")
from metasgd_tf.webpage import server

EXPORT = ROOT / "exports" / "omniglot_5way1shot"
ONE_TAB = [f"--export_dir={EXPORT}", "--curve_export_dirs=", "--walk_model_dirs="]


def doubled(request):
    return {"twice": 2 * field(request, "number")}


def failing(request):
    del request
    raise RequestError("number: should be less")


@pytest.fixture(scope="module")
def client():
    app = server.create_app({"doubled": doubled, "failing": failing}, {"tabs": ["draw"]})
    return app.test_client()


def test_an_answer_is_json_with_the_time_that_it_took(client):
    reply = client.post("/answer/doubled", json={"number": 4})
    assert reply.status_code == 200
    assert reply.json["twice"] == 8
    assert 0 <= reply.json["milliseconds"] < 1000


def test_the_page_and_all_that_it_names_are_sent(client):
    assert client.get("/about").json == {"tabs": ["draw"]}
    page = client.get("/")
    assert page.mimetype == "text/html" and "Meta-SGD" in page.text
    assert page.headers["Content-Security-Policy"] == "default-src 'self'"
    for file in (ROOT / "metasgd_tf" / "webpage" / "page").iterdir():
        reply = client.get(f"/{file.name}")
        assert reply.data == file.read_bytes()
        if file.suffix == ".js":
            assert reply.mimetype == "text/javascript"


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        ("{", "application/json", 400, "could not understand"),
        ("\xff", "application/json", 400, "could not understand"),
        ("{}", "application/json", 400, "an object with a field 'number'"),
        ("[1]", "application/json", 400, "an object with a field 'number'"),
        ("[" * 100_000, "application/json", 400, "too many lists within lists"),
        ('{"number": 1}', "text/plain", 415, "application/json"),
        ('"' + "x" * 2**20 + '"', "application/json", 413, "exceeds"),
    ],
    ids=["cut", "no UTF-8", "no field", "no object", "deep", "no JSON", "too large"],
)
def test_malformed_requests_get_one_sentence(client, body, kind, status, said):
    reply = client.post("/answer/doubled", data=body.encode("latin-1"), content_type=kind)
    assert reply.status_code == status
    assert said in reply.json["error"] and "\n" not in reply.json["error"]


def test_what_an_answer_refuses_is_passed_on(client):
    reply = client.post("/answer/failing", json={})
    assert (reply.status_code, reply.json) == (400, {"error": "number: should be less"})
    reply = client.post("/answer/tripled", json={})
    assert reply.status_code == 404 and "ask for doubled, failing" in reply.json["error"]
    assert client.get("/../server.py").status_code == 404


def test_pages_from_elsewhere_are_refused(client):
    assert client.get("/about", headers={"Host": "127.0.0.1:5000"}).status_code == 200
    for path in ("/about", "/"):
        assert client.get(path, headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_port_in_use_is_named():
    app = server.create_app({}, {})
    first = server.listen(app, 0)
    with pytest.raises(InputError, match=f"port={first.port}: cannot be listened on"):
        server.listen(app, first.port)
    first.server_close()


def test_an_interrupt_is_passed_on_and_the_port_is_free_again(monkeypatch):
    serving = server.listen(server.create_app({}, {}), 0)

    def interrupted():
        raise KeyboardInterrupt

    # Called after every wait for a request, as Ctrl-C comes.
    monkeypatch.setattr(serving, "service_actions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.serve(serving)
    server.listen(server.create_app({}, {}), serving.port).server_close()


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    (tmp_path / "stdout").touch()
    running = start(tmp_path, "demo", *ONE_TAB)
    try:
        limit = time.monotonic() + 120
        while not (address := read(tmp_path, "stdout").strip()):
            assert running.is_alive() and time.monotonic() < limit, "it does not print its address"
            time.sleep(0.1)
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}about", timeout=60) as reply:
            assert json.load(reply) == {"tabs": ["draw"], "ways": 5}
        os.kill(running.pid, signal.SIGINT)
        running.join(60)
        assert running.exitcode == 128 + signal.SIGINT
        assert read(tmp_path, "stderr") == "stopped by SIGINT\n"
    finally:
        running.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("export_dir", "error: export_dir={}: holds no export"),
        ("curve_export_dirs", "error: curve_export_dirs={}: holds no export"),
        ("walk_model_dirs", "error: walk_model_dirs={}: holds no run"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, flag, said):
    done = command("demo", *ONE_TAB, f"--{flag}={tmp_path}")
    assert said.format(tmp_path) in assert_refused(done)
