"""Trains a small network with each public layer of Keras, in each way of running.

    python -m benchmarks.layers --json=layers.json

Compares each layer's meta-gradient with central differences and makes two meta-iterations in each
way. XLA may take many minutes for a loop over time, so that a way counts as too slow after
--seconds. Layers whose results the file has already are not tried again.
"""

import json
import pathlib

from absl import app, flags

from benchmarks.layers.worker import CHECK, RIGHT, TRAINED, Worker
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "A file for the results.")
_LAYERS = flags.DEFINE_list("layers", None, "Names of the table to try; all if not given.")
_SECONDS = flags.DEFINE_integer("seconds", 120, "How long a way may take for a layer.")


def main(argv: list[str]) -> None:
    """Tries every layer, prints a line for each and the counts."""
    del argv
    prepare_process()
    from benchmarks.layers.table import CASES
    from metasgd_tf.output.provenance import provenance
    from trainers.supervised.meta_batch import WAYS

    tried = (CHECK, *WAYS)
    worker = Worker()
    file = pathlib.Path(_JSON.value) if _JSON.value else None
    rows = json.loads(file.read_text("utf-8"))["rows"] if file and file.exists() else []
    known = {row["layer"] for row in rows}
    for name in [name for name in _LAYERS.value or CASES if name not in known]:
        row = {"layer": name, **{what: worker.ask(name, what, _SECONDS.value) for what in tried}}
        rows.append(row)
        print(name, *(row[what] for what in tried), sep=" | ", flush=True)
        if file:
            text = json.dumps({"rows": rows, **provenance()}, indent=2) + "\n"
            file.write_text(text, encoding="utf-8")
    for what in tried:
        good = sum(row[what] in (RIGHT, TRAINED) for row in rows)
        print(f"{what}: {good} of {len(rows)}")


if __name__ == "__main__":
    app.run(main)
