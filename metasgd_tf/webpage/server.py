"""Serves the page and its tabs' answers on the loopback interface.

Flask, and not Gradio or another kit for demonstrations: those send a whole image when a drawing is
finished, and have the layout that their components give. Here a stroke is answered while it is
drawn, several canvases of one's own share an answer, and curves are clicked together. Flask adds
little to Werkzeug, which TensorBoard brings. The page in `page/` is plain HTML, CSS and JavaScript,
and loads nothing from elsewhere.

A request is `POST /answer/NAME` with JSON, a reply JSON too; every answer depends on its request
alone.
"""

import logging
import socket
import time
from collections.abc import Callable, Mapping
from http.server import HTTPServer
from typing import Any

import flask
import tensorflow as tf
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, make_server

from metasgd_tf.images.files.encoded_images import refusal
from metasgd_tf.webpage.reading import RequestError
from trainers.errors import InputError

HOST = "127.0.0.1"
MOST_BYTES = 2**20
Answer = Callable[[Any], dict[str, Any]]


def create_app(answers: Mapping[str, Answer], about: Mapping[str, Any]) -> flask.Flask:
    """Makes the application.

    Args:
      answers: what answers a request of each name; a request is decoded JSON, and an answer may
        raise `RequestError`.
      about: what the page is told when it opens.
    """
    app = flask.Flask(__name__, static_folder="page", static_url_path="")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    # Else a page from elsewhere whose name resolves to this address could send requests.
    app.config["TRUSTED_HOSTS"] = [HOST, "localhost"]

    @app.get("/")
    def page() -> flask.Response:
        return app.send_static_file("index.html")

    @app.get("/about")
    def told() -> dict[str, Any]:
        return dict(about)

    @app.post("/answer/<name>")
    def answered(name: str) -> tuple[dict[str, Any], int]:
        if name not in answers:
            return {"error": f"{name}: there is no such answer; ask for {', '.join(answers)}"}, 404
        began = time.perf_counter()
        try:
            given = answers[name](flask.request.get_json())
        except RequestError as error:
            return {"error": str(error)}, 400
        except RecursionError:
            return {"error": "what was sent has too many lists within lists"}, 400
        except tf.errors.InvalidArgumentError as error:
            given = {"sentence": f"The export refuses this: {refusal(error)}."}
        return given | {"milliseconds": round(1e3 * (time.perf_counter() - began), 1)}, 200

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> tuple[dict[str, Any], int]:
        return {"error": error.description or error.name}, error.code or 500

    @app.after_request
    def restricted(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    return app


def listen(app: flask.Flask, port: int) -> BaseWSGIServer:
    """Returns a server of the application on the loopback interface, to be run by its caller.

    Args:
      app: the application.
      port: 0 for one that is free.

    Raises:
      InputError: if the port cannot be had.
    """
    # Its line for each request would fill the terminal while one draws.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        # Werkzeug itself would end the program where a port is in use.
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise InputError(
            f"port={port}: cannot be listened on ({error.strerror}); name another, or leave it out"
        ) from error
    with listening:
        return make_server(HOST, port, app, threaded=True, fd=listening.fileno())


def serve(serving: BaseWSGIServer) -> None:
    """Answers requests until the process is interrupted, which it passes on, and closes the server.

    Raises:
      KeyboardInterrupt: on Ctrl-C.
    """
    try:
        # Werkzeug's own `serve_forever` keeps Ctrl-C to itself: the command would exit with 0.
        HTTPServer.serve_forever(serving)
    finally:
        serving.server_close()
