"""Classifies images by TF Serving's REST interface, with Python's standard library alone.

    python -m examples.classify_by_rest --server=http://127.0.0.1:8501 --model=omniglot \
        --support_dir=A --query_dir=B

A has one sub-folder per class with a few PNG or JPEG files each, and B has the files to classify.
Prints the name, class and probability of each file, separated by tabs.
"""

import argparse
import base64
import json
import pathlib
import urllib.error
import urllib.request
from typing import Any


def content(path: pathlib.Path) -> dict[str, str]:
    """Returns a file as the JSON that TF Serving takes for bytes."""
    return {"b64": base64.b64encode(path.read_bytes()).decode("ascii")}


def request(support: dict[str, list[pathlib.Path]], queries: list[pathlib.Path]) -> dict[str, Any]:
    """Returns a request of one task for the signature `classify_images`."""
    files = [(number, path) for number, name in enumerate(support) for path in support[name]]
    return {
        "signature_name": "classify_images",
        "inputs": {
            "support_inputs": [[content(path) for _, path in files]],
            "support_targets": [[number for number, _ in files]],
            "query_inputs": [[content(path) for path in queries]],
        },
    }


def ask(server: str, model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Sends a request and returns the outputs by name.

    Raises:
      SystemExit: with the error as its message, if the server refuses or cannot be reached.
    """
    url = f"{server}/v1/models/{model}:predict"
    headers = {"Content-Type": "application/json"}
    post = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(post, timeout=60) as reply:
            return json.load(reply)["outputs"]
    except urllib.error.HTTPError as error:
        try:
            reason = json.load(error)["error"]
        except (ValueError, LookupError, TypeError):  # What a proxy says is no JSON.
            reason = f"{error.code} {error.reason}"
        raise SystemExit(f"{url} refuses: {reason}") from error
    except OSError as error:
        raise SystemExit(f"{url} cannot be reached: {error}") from error


def main() -> None:
    """Reads the folders, sends the request and prints the answers."""
    parser = argparse.ArgumentParser(description="Classifies images by TF Serving's REST.")
    parser.add_argument("--server", default="http://127.0.0.1:8501")
    parser.add_argument("--model", default="omniglot")
    parser.add_argument("--support_dir", type=pathlib.Path, required=True)
    parser.add_argument("--query_dir", type=pathlib.Path, required=True)
    given = parser.parse_args()
    folders = sorted(folder for folder in given.support_dir.iterdir() if folder.is_dir())
    support = {folder.name: sorted(folder.iterdir()) for folder in folders}
    queries = sorted(given.query_dir.iterdir())
    outputs = ask(given.server, given.model, request(support, queries))
    names = list(support)
    # The request has one task.
    answers = zip(queries, outputs["classes"][0], outputs["probabilities"][0], strict=True)
    for path, chosen, probabilities in answers:
        line = "\t".join([path.name, names[chosen], f"{probabilities[chosen]:.4f}"])
        # A name may hold bytes that are not UTF-8, which could not be printed.
        print(line.encode("utf-8", "backslashreplace").decode("utf-8"))


if __name__ == "__main__":
    main()
