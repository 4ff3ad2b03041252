"""Measures what a meta-iteration of Omniglot's network holds in half precision and in float32.

    python -m benchmarks.precision.memory --json=docs/results/precision_memory.json

Side by side it is by how much a meta-iteration raises the process's resident memory at most (read
from Linux's /proc), with as many tasks at once as there are cores; batched, it is what XLA's
program of 4 tasks holds at once.
"""

import functools
import json
import os
import pathlib
import statistics
from collections.abc import Sequence

from metasgd_tf.process_environment import prepare_process

# With oneDNN TensorFlow keeps the memory that it had once, so that nothing could be measured.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
prepare_process()

import tensorflow as tf
from absl import app, flags

from benchmarks.harness.resident import raised_megabytes
from benchmarks.precision import cases
from benchmarks.program import hlo
from benchmarks.program.step import batched
from metasgd_tf.flags.algorithms import PRECISIONS
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from trainers.devices import use_cores_for_tasks

BATCHED_TASKS = 4
COLUMNS = ("precision", "side by side, MB", "batched, MB")

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Iterations whose median counts.", 1)
_JSON = flags.DEFINE_string("json", None, "File to write the numbers to.")


def side_by_side_megabytes(precision: str, rounds: int) -> float:
    """Returns by how much a meta-iteration raises resident memory, in MB of 2^20 bytes."""
    trainer = cases.omniglot_trainer(precision)
    trainer.train(1)
    raised = [raised_megabytes(functools.partial(trainer.train, 1)) for _ in range(rounds)]
    return statistics.median(raised)


def batched_megabytes(precision: str) -> float:
    """Returns what the compiled meta-gradient of a batch of tasks holds at once, in 10^6 bytes."""
    learner = cases.omniglot_learner(precision)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    drawn = [cases.images(tf.constant([0, number])) for number in range(BATCHED_TASKS)]
    tasks = tf.nest.map_structure(lambda *parts: tf.stack(parts), *drawn)
    describe = batched(learner).experimental_get_compiler_ir(values, tasks)
    return hlo.Program(describe(stage="optimized_hlo")).peak_bytes() / 1e6


def main(_: Sequence[str]) -> None:
    """Measures, prints and writes what is asked for."""
    use_cores_for_tasks()
    rows = []
    for precision in PRECISIONS:
        held = side_by_side_megabytes(precision, _ROUNDS.value), batched_megabytes(precision)
        rows.append([precision, *(round(megabytes, 1) for megabytes in held)])
        print(*rows[-1], sep="\t", flush=True)
    if _JSON.value:
        told = {"command": "python -m benchmarks.precision.memory", "columns": COLUMNS}
        with replaced(pathlib.Path(_JSON.value)) as file:
            file.write(json.dumps(told | {"rows": rows} | provenance(), indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
