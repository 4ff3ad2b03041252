"""Classifies images by TF Serving's gRPC interface.

    pip install -r examples/requirements.txt
    python -m examples.classify_by_grpc --server=127.0.0.1:8500 --model=omniglot \
        --support_dir=A --query_dir=B

A has one sub-folder per class with a few PNG or JPEG files each, and B has the files to classify.
Prints the name, class and probability of each file, separated by tabs.
"""

import argparse
import pathlib

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MEBIBYTE = 2**20


def request(
    model: str, support: dict[str, list[pathlib.Path]], queries: list[pathlib.Path]
) -> predict_pb2.PredictRequest:
    """Returns a request of one task for the signature `classify_images`."""
    files = [(number, path) for number, name in enumerate(support) for path in support[name]]
    inputs = {
        "support_inputs": tf.make_tensor_proto([[path.read_bytes() for _, path in files]]),
        "support_targets": tf.make_tensor_proto([[number for number, _ in files]], tf.int32),
        "query_inputs": tf.make_tensor_proto([[path.read_bytes() for path in queries]]),
    }
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    made.model_spec.signature_name = "classify_images"
    for name, tensor in inputs.items():
        made.inputs[name].CopyFrom(tensor)
    return made


def ask(server: str, asked: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    """Sends a request and returns the outputs by name.

    Raises:
      SystemExit: with the error as its message, if the server refuses or cannot be reached.
    """
    # gRPC refuses messages over 4 MiB unless it is told otherwise.
    options = [("grpc.max_receive_message_length", 64 * MEBIBYTE)]
    with grpc.insecure_channel(server, options) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            reply = service.Predict(asked, timeout=60)
        except grpc.RpcError as error:
            raise SystemExit(f"{server}: {error.code().name}: {error.details()}") from error
    return {name: tf.make_ndarray(tensor) for name, tensor in reply.outputs.items()}


def main() -> None:
    """Reads the folders, sends the request and prints the answers."""
    parser = argparse.ArgumentParser(description="Classifies images by TF Serving's gRPC.")
    parser.add_argument("--server", default="127.0.0.1:8500")
    parser.add_argument("--model", default="omniglot")
    parser.add_argument("--support_dir", type=pathlib.Path, required=True)
    parser.add_argument("--query_dir", type=pathlib.Path, required=True)
    given = parser.parse_args()
    folders = sorted(folder for folder in given.support_dir.iterdir() if folder.is_dir())
    support = {folder.name: sorted(folder.iterdir()) for folder in folders}
    queries = sorted(given.query_dir.iterdir())
    outputs = ask(given.server, request(given.model, support, queries))
    names = list(support)
    # The request has one task.
    answers = zip(queries, outputs["classes"][0], outputs["probabilities"][0], strict=True)
    for path, chosen, probabilities in answers:
        line = "\t".join([path.name, names[chosen], f"{probabilities[chosen]:.4f}"])
        # A name may hold bytes that are not UTF-8, which could not be printed.
        print(line.encode("utf-8", "backslashreplace").decode("utf-8"))


if __name__ == "__main__":
    main()
