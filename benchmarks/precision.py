"""Times meta-iterations in half precision beside float32.

    python -m benchmarks.precision --json=docs/results/precision_speed.json

Each case is trained in every precision by this project's own trainer, in turns; medians count.
"""

import json
import pathlib
import statistics
import time
from collections.abc import Sequence

from metasgd_tf.process_environment import prepare_process

prepare_process()

import keras
import tensorflow as tf
from absl import app, flags

from metasgd_tf.flags.algorithms import PRECISIONS
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from metasgd_tf.runs.networks import computing_in
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.conv4 import conv4
from trainers.devices import use_cores_for_tasks
from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, uniform
from trainers.supervised.meta_trainer import MetaTrainer

CASES = {
    "sinusoid 5-shot, 4 tasks, compiled": 2000,
    "Omniglot's network, 5-way 1-shot, 32 tasks": 1,
}
"""Meta-iterations that are timed at once, by case."""

COLUMNS = ("case", "precision", "ms a meta-iteration", "of float32")

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Timings of each case and precision.", 1)
_JSON = flags.DEFINE_string("json", None, "File to write the numbers to.")


def images(seed: tf.Tensor) -> Episode:
    """Draws noise in the shape of 5-way 1-shot episodes with 5 queries a class."""
    parts = [uniform(fold_in(seed, n), [5 * n, 28, 28, 1]) for n in (1, 5)]
    labels = [tf.repeat(tf.range(5), n) for n in (1, 5)]
    return Episode(parts[0], labels[0], parts[1], labels[1])


def trainer_of(case: str, precision: str) -> MetaTrainer:
    """Makes the trainer of one of `CASES`."""
    if case.startswith("sinusoid"):
        family = Sinusoid(shots=5, queries=5)
        with computing_in(precision):
            model = family.model(0)
        learner = MetaLearner(model, family.loss, alpha_init=0.02)
        return MetaTrainer(learner, family.sampler("train"), meta_batch_size=4)
    with computing_in(precision):
        model = conv4((28, 28, 1), 5, 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    return MetaTrainer(MetaLearner(model, loss, alpha_init=0.02), images, meta_batch_size=32)


def measure(case: str, rounds: int) -> list[list[str]]:
    """Returns a row of the table for each precision."""
    at_once = CASES[case]
    trainers = {precision: trainer_of(case, precision) for precision in PRECISIONS}
    for trainer in trainers.values():
        trainer.train(at_once)
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(rounds):
        for precision, trainer in trainers.items():
            begin = time.perf_counter()
            trainer.train(at_once)
            taken[precision].append((time.perf_counter() - begin) / at_once * 1e3)
    times = {precision: statistics.median(values) for precision, values in taken.items()}
    first = PRECISIONS[0]
    return [
        [
            case,
            precision,
            f"{times[precision]:.3g}",
            f"{times[precision] / times[first]:.2f} ×",
        ]
        for precision in PRECISIONS
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
        told = {"command": "python -m benchmarks.precision", "columns": COLUMNS, "rows": rows}
        with replaced(pathlib.Path(_JSON.value)) as file:
            file.write(json.dumps(told | provenance(), indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
