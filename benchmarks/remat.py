"""Measures what computing inner steps again saves of memory and costs in time.

    python -m benchmarks.remat --json=docs/results/remat.json --figure=docs/figures/remat.png

Side by side, a meta-iteration of Omniglot's network is run, and its memory is by how much it raises
the process's resident memory at most (read from Linux's /proc). Batched, it is what XLA's program
holds at once; a perceptron with 1,000 points of 8 numbers stands for the network, as XLA takes
minutes to compile ten steps of convolutions. Times are those side by side, taken in turns.
"""

import functools
import json
import os
import pathlib
import statistics
import time
from collections.abc import Sequence

from metasgd_tf.process_environment import prepare_process

# With oneDNN TensorFlow keeps the memory that it had once, so that nothing could be measured.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
prepare_process()

import keras
import tensorflow as tf
from absl import app, flags
from matplotlib import figure

from benchmarks.harness.resident import raised_megabytes
from benchmarks.program import hlo
from benchmarks.program.step import batched
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from models.conv4 import conv4
from models.mlp import mlp
from trainers.devices import use_cores_for_tasks
from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, uniform
from trainers.supervised.meta_trainer import MetaTrainer

TASKS = 4
SIDE, WAYS, SHOTS, QUERIES = 28, 5, 5, 5
WIDTH, POINTS = 8, 1000
COLUMNS = (
    "inner steps",
    "side by side, MB kept",
    "computed again",
    "batched, MB kept",
    "computed again",
    "times as long",
)
TIMED = 3
"""Meta-iterations of each kind that are timed."""

_STEPS = flags.DEFINE_list("steps", [str(n) for n in range(1, 11)], "Numbers of inner steps.")
_JSON = flags.DEFINE_string("json", None, "File to write the numbers to.")
_FIGURE = flags.DEFINE_string("figure", None, "File to draw them in (.png).")


def images(seed: tf.Tensor) -> Episode:
    """Draws images of noise; what is in them changes neither time nor memory."""
    inputs = [
        uniform(fold_in(seed, part), [WAYS * count, SIDE, SIDE, 1])
        for part, count in enumerate((SHOTS, QUERIES))
    ]
    labels = [tf.repeat(tf.range(WAYS), count) for count in (SHOTS, QUERIES)]
    return Episode(inputs[0], labels[0], inputs[1], labels[1])


def numbers(seed: tf.Tensor) -> Episode:
    """Draws points of noise, for a perceptron with few weights."""
    drawn = uniform(seed, [2, POINTS, 2 * WIDTH])
    parts = [drawn[part, :, place : place + WIDTH] for part in (0, 1) for place in (0, WIDTH)]
    return Episode(parts[0], parts[1], parts[2], parts[3])


def learner_of(steps: int, remat: bool, batched: bool) -> MetaLearner:
    """Makes a learner of `images` or, where tasks are batched, of `numbers`."""
    if batched:
        model = mlp((WIDTH,), WIDTH, 0, hidden=(64, 64), stddev=0.05)
    else:
        model = conv4((SIDE, SIDE, 1), WAYS, 0)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    return MetaLearner(
        model,
        "mse" if batched else cross_entropy,
        alpha_init=0.01,
        inner_steps=steps,
        remat=remat,
    )


def trainer_of(steps: int, remat: bool) -> MetaTrainer:
    """Makes a trainer of the network for `images`."""
    return MetaTrainer(
        learner_of(steps, remat, batched=False),
        images,
        meta_batch_size=TASKS,
        task_batching="side_by_side",
    )


def program_megabytes(learner: MetaLearner) -> float:
    """Returns what the compiled meta-gradient of a batch of tasks holds at once."""
    step = batched(learner)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    drawn = [numbers(tf.constant([0, number])) for number in range(TASKS)]
    tasks = tf.nest.map_structure(lambda *parts: tf.stack(parts), *drawn)
    text = step.experimental_get_compiler_ir(values, tasks)(stage="optimized_hlo")
    return hlo.Program(text).peak_bytes() / 1e6


def measure(steps: int) -> list[float]:
    """Returns a row of the table."""
    pair = [trainer_of(steps, remat) for remat in (False, True)]
    for trainer in pair:
        trainer.train(1)
    beside = [raised_megabytes(functools.partial(trainer.train, 1)) for trainer in pair]
    times: list[list[float]] = [[], []]
    for _ in range(TIMED):
        for taken, trainer in zip(times, pair, strict=True):
            begin = time.perf_counter()
            trainer.train(1)
            taken.append(time.perf_counter() - begin)
    ratio = statistics.median(times[1]) / statistics.median(times[0])
    batched = [program_megabytes(learner_of(steps, remat, batched=True)) for remat in (False, True)]
    return [steps, *(round(value, 1) for value in (*beside, *batched)), round(ratio, 2)]


def draw(rows: Sequence[Sequence[float]]) -> figure.Figure:
    """Draws memory against inner steps, a panel for each way of running."""
    drawn = figure.Figure(figsize=(7.0, 2.6), layout="constrained")
    titles = ("side by side: resident memory", "batched: XLA's program")
    for place, (panel, title) in enumerate(zip(drawn.subplots(1, 2), titles, strict=True)):
        for column, label, style in ((1, "steps kept", "o-"), (2, "steps computed again", "s--")):
            values = [row[column + 2 * place] for row in rows]
            panel.plot([row[0] for row in rows], values, style, label=label, markersize=3)
        panel.set(title=title, xlabel="inner steps", ylabel="MB", ylim=(0, None))
        panel.legend(frameon=False)
    return drawn


def main(_: Sequence[str]) -> None:
    """Measures, prints and writes what is asked for."""
    use_cores_for_tasks()
    rows = []
    for steps in map(int, _STEPS.value):
        rows.append(measure(steps))
        print(*rows[-1], sep="\t", flush=True)
        if _JSON.value:
            told = {"command": "python -m benchmarks.remat", "columns": COLUMNS, "rows": rows}
            with replaced(pathlib.Path(_JSON.value)) as file:
                file.write(json.dumps(told | provenance(), indent=2) + "\n")
    if _FIGURE.value:
        draw(rows).savefig(_FIGURE.value, dpi=150)


if __name__ == "__main__":
    app.run(main)
