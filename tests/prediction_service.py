"""TF Serving's prediction service on loopback, over an export in a session.

Of its two interfaces there is what a client of `Predict` meets: TensorFlow's errors arrive with
their codes, gRPC takes a signature's defaults, and REST demands every input by name, as the sources
of TF Serving do. The server itself is not to be had as a Python package.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving_exports import Served

NAME = "omniglot"


class Refused(Exception):
    """A request that the service itself refuses."""


@contextlib.contextmanager
def grpc_server(served: Served) -> Iterator[str]:
    """Serves over gRPC and gives the address."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Servicer(served), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, served: Served):
        self._served = served

    def Predict(self, request, context):
        name = request.model_spec.signature_name or "serving_default"
        if request.model_spec.name != NAME or name not in self._served.signatures:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.model_spec.name}, {name}")
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        try:
            outputs = self._served(name, **inputs)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        reply = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            reply.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return reply


@contextlib.contextmanager
def rest_server(served: Served) -> Iterator[str]:
    """Serves over HTTP and gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                if self.path != f"/v1/models/{NAME}:predict":
                    raise Refused(f"Malformed request: POST {self.path}")
                code, data = 200, json.dumps({"outputs": _outputs(served, body)}).encode()
            except (Refused, tf.errors.InvalidArgumentError) as error:
                message = str(getattr(error, "message", error))
                code, data = 400, json.dumps({"error": message}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _outputs(served: Served, body: dict[str, Any]) -> dict[str, Any]:
    name = body.get("signature_name", "serving_default")
    if name not in served.signatures:
        raise Refused(f'Serving signature name: "{name}" not found in signature def')
    inputs = {}
    for key, info in served.signatures[name].inputs.items():
        if key not in body["inputs"]:
            raise Refused(f"Missing named input: {key} in 'inputs' object.")
        kind = tf.dtypes.as_dtype(info.dtype).as_numpy_dtype
        inputs[key] = np.array(_decoded(body["inputs"][key]), kind)
    return {key: value.tolist() for key, value in served(name, **inputs).items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value
