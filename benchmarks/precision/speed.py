"""Times meta-iterations in half precision beside float32.

    python -m benchmarks.precision.speed --json=docs/results/precision_speed.json

Each case is trained in every precision by this project's own trainer, in turns; medians count.
"""

import json
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence

from metasgd_tf.process_environment import prepare_process

prepare_process()

from absl import app, flags

from benchmarks.precision import cases
from metasgd_tf.flags.algorithms import PRECISIONS
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from trainers.devices import use_cores_for_tasks
from trainers.supervised.meta_trainer import MetaTrainer

CASES: dict[str, tuple[Callable[[str], MetaTrainer], int]] = {
    "sinusoid 5-shot, 4 tasks, compiled": (cases.sinusoid_trainer, 2000),
    "Omniglot's network, 5-way 1-shot, 32 tasks": (cases.omniglot_trainer, 10),
}
"""How to make the trainer of a case, and the meta-iterations that are timed at once."""

COLUMNS = ("case", "precision", "ms a meta-iteration", "of float32")

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Timings of each case and precision.", 1)
_JSON = flags.DEFINE_string("json", None, "File to write the numbers to.")


def measure(case: str, rounds: int) -> list[list[str]]:
    """Returns a row of the table for each precision."""
    trainer_of, at_once = CASES[case]
    trainers = {precision: trainer_of(precision) for precision in PRECISIONS}
    for trainer in trainers.values():
        trainer.train(at_once)
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(rounds):
        for precision, trainer in trainers.items():
            begin = time.perf_counter()
            trainer.train(at_once)
            taken[precision].append((time.perf_counter() - begin) / at_once * 1e3)
    times = {precision: statistics.median(values) for precision, values in taken.items()}
    first = times[PRECISIONS[0]]
    return [
        [case, precision, f"{one:.3g}", f"{one / first:.2f} ×"] for precision, one in times.items()
    ]


def main(_: Sequence[str]) -> None:
    """Measures, prints and writes what is asked for."""
    use_cores_for_tasks()
    rows = []
    for case in CASES:
        rows += measure(case, _ROUNDS.value)
        for row in rows[-len(PRECISIONS) :]:
            print(*row, sep="\t", flush=True)
    if _JSON.value:
        told = {"command": "python -m benchmarks.precision.speed", "columns": COLUMNS, "rows": rows}
        with replaced(pathlib.Path(_JSON.value)) as file:
            file.write(json.dumps(told | provenance(), indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
