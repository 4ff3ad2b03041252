"""Measures the meta-gradient of a whole meta-batch as one program, without the device it is for.

    python -m benchmarks.program --case=omniglot --output=omniglot.npz

It compiles the program for the CPU and reads what XLA made of it: kernels, products and their
operations and bytes beside the least there can be, memory, loops and transfers; and from these the
time on some GPUs by a roofline. A GPU's compiler divides the work otherwise, so that this tells
whether the program is well-formed and about how fast it can be, not how fast it is. `--loop` reads
the trainer's own loop too, which draws its episodes and steps its optimizer. The file holds the
program with its inputs and outputs, for `benchmarks.run_program`.
"""

import dataclasses
import json
import pathlib
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from metasgd_tf.process_environment import prepare_process

prepare_process()

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks.harness import cases, floor
from benchmarks.program import hlo
from benchmarks.program.step import batched
from benchmarks.systems import metasgd_tf as ours
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from metasgd_tf.output.text_table import aligned
from models.resnet12 import resnet12
from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_trainer import MetaTrainer

_OMNIGLOT, _IMAGENET = cases.CASES["omniglot"], cases.CASES["mini_imagenet"]
SHAPES = {
    case.name: case
    for case in (
        _OMNIGLOT,
        dataclasses.replace(
            _OMNIGLOT, name="omniglot_20way5shot", ways=20, shots=5, queries=5, tasks=8
        ),
        cases.CASES["omniglot_maxpool"],
        _IMAGENET,
        dataclasses.replace(_IMAGENET, name="mini_imagenet_5shot", shots=5),
        dataclasses.replace(_IMAGENET, name="resnet12", tasks=2),
    )
}
"""The shapes that can be measured; `resnet12` is MiniImagenet's with that network."""

LAUNCH = 4e-6
"""Seconds that a GPU takes to start a kernel."""

GRAYS = 32
"""Images in a file have a multiple of this as a pixel, since noise cannot be compressed."""


class Device(NamedTuple):
    """A GPU by its data sheet: float32 operations and bytes of memory traffic a second."""

    flops: float
    bandwidth: float


DEVICES = {
    "H100 SXM": Device(67e12, 3.35e12),
    "A100 80 GB SXM": Device(19.5e12, 2.04e12),
    "T4": Device(8.1e12, 0.32e12),
}

_CASE = flags.DEFINE_enum("case", "omniglot", list(SHAPES), "The shape to measure.")
_OUTPUT = flags.DEFINE_string("output", None, "File to write the program and its inputs to (.npz).")
_JSON = flags.DEFINE_string("json", None, "File to write the numbers to.")
_LOOP = flags.DEFINE_bool(
    "loop", False, "Whether to measure the trainer's loop too (not resnet12)."
)


def program(case: cases.Case) -> tuple[Any, list[tf.Tensor], Episode]:
    """Makes the program of a case: the mean over the tasks of the gradients by θ and α.

    Returns:
      A compiled function of values and tasks; values of θ and α; and tasks.
    """
    shape = (case.image_size, case.image_size, case.channels)
    family = ours.family_of(case)
    if case.name == "resnet12":
        model = resnet12(shape, case.ways, 0)
        learner = MetaLearner(model, family.loss, alpha_init=cases.ALPHA)
    else:
        learner = ours.learner_of(case, family)

    step = batched(learner)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    return step, values, _tasks(case, shape)


def _tasks(case: cases.Case, shape: tuple[int, ...]) -> Episode:
    pixels = cases.image_pool(case) // GRAYS * GRAYS
    random, labels = np.random.default_rng(0), np.arange(case.ways, dtype=np.int32)
    each = case.shots + case.queries
    drawn = [
        pixels[random.permutation(cases.POOL_CLASSES)[: case.ways]][:, :each]
        for _ in range(case.tasks)
    ]
    shown = np.stack(drawn).astype(np.float32) / 255.0
    inputs = [part.reshape(case.tasks, -1, *shape) for part in np.split(shown, [case.shots], 2)]
    targets = [
        np.tile(np.repeat(labels, count), (case.tasks, 1)) for count in (case.shots, case.queries)
    ]
    return Episode(*(tf.constant(v) for pair in zip(inputs, targets, strict=True) for v in pair))


def measure(case: cases.Case) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the numbers of a case's program, and the contents of its file."""
    step, values, tasks = program(case)
    begin, busy = time.perf_counter(), time.process_time()
    outputs = step(values, tasks)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - busy
    text = step.experimental_get_compiler_ir(values, tasks)
    made = hlo.Program(text(stage="optimized_hlo"))
    kernels = made.kernels()
    known = case.name != "resnet12"
    numbers = {
        "case": dataclasses.asdict(case),
        "first_step_seconds": round(seconds, 1),
        "first_step_cpu_seconds": round(cpu_seconds, 1),
        "kernels": len(kernels),
        "fusions": sum(kernel.kind == "fusion" for kernel in kernels),
        "dots": made.count("dot"),
        "convolutions": made.count("convolution"),
        "product_gflops": made.flops / 1e9,
        "least_gflops": floor.operations(case) / 1e9 if known else None,
        "megabytes_moved": sum(kernel.bytes for kernel in kernels) / 1e6,
        "least_megabytes": floor.least_bytes(case) / 1e6 if known else None,
        "megabytes_peak": made.peak_bytes() / 1e6,
        "loops": made.loops,
        "transfers": made.transfers,
        "predicted_ms": {name: 1e3 * roofline(kernels, one) for name, one in DEVICES.items()},
        **provenance(),
    }
    return numbers, _contents(case, text(stage="hlo"), step, values, tasks, outputs)


def measure_loop(case: cases.Case) -> dict[str, int]:
    """Returns what an iteration of the trainer's loop has, with its draws and its outer step.

    Loops are those within the one over iterations, such as one over chunks of tasks.
    """
    family = ours.family_of(case)
    learner = ours.learner_of(case, family)
    trainer = MetaTrainer(
        learner, family.sampler("train"), meta_batch_size=case.tasks, task_batching="batched"
    )
    none = tf.constant(0, tf.int64)
    totals = {name: tf.zeros(()) for name in (*learner.scores, "meta_gradient_norm")}
    loop: Any = trainer.prepare()
    text = loop.experimental_get_compiler_ir(none, none, totals)
    made = hlo.Program(text(stage="optimized_hlo"))
    return {
        "loop_kernels": len(made.kernels(made.body())),
        "loop_loops": made.loops - 1,
        "loop_transfers": made.transfers,
    }


def roofline(kernels: Sequence[hlo.Kernel], device: Device) -> float:
    """Returns the seconds in which a device can do these kernels at best, one after the other."""
    return sum(
        LAUNCH + max(kernel.flops / device.flops, kernel.bytes / device.bandwidth)
        for kernel in kernels
    )


def _contents(
    case: cases.Case,
    text: str,
    step: Any,
    values: list[tf.Tensor],
    tasks: Episode,
    outputs: list[tf.Tensor],
) -> dict[str, np.ndarray]:
    # Where an operation was written is of no use to others, and long.
    text = re.sub(r", metadata=\{[^{}]*\}", "", text)
    captured = step.get_concrete_function(values, tasks).captured_inputs
    read = [tf.raw_ops.ReadVariableOp(resource=c, dtype=tf.float32) for c in captured]
    arguments = [value.numpy() for value in (*values, *tasks, *read)]
    return {
        "case": np.frombuffer(json.dumps(dataclasses.asdict(case)).encode(), np.uint8),
        "program": np.frombuffer(text.encode(), np.uint8),
        **{f"argument_{number}": value for number, value in enumerate(arguments)},
        **{f"output_{number}": value.numpy() for number, value in enumerate(outputs)},
    }


def table(numbers: dict[str, Any]) -> str:
    """Returns the numbers as text."""
    rows = [
        (name, f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in numbers.items()
        if not isinstance(value, dict)
    ]
    rows += [(f"predicted ms, {name}", f"{ms:.2f}") for name, ms in numbers["predicted_ms"].items()]
    return aligned(rows)


def main(_: Sequence[str]) -> None:
    """Measures a case, prints the numbers and writes the files that are asked for."""
    case = SHAPES[_CASE.value]
    numbers, contents = measure(case)
    if _LOOP.value:
        numbers |= measure_loop(case)
    print(table(numbers))
    if _OUTPUT.value:
        np.savez_compressed(_OUTPUT.value, **contents)  # type: ignore[arg-type]
    if _JSON.value:
        with replaced(pathlib.Path(_JSON.value)) as file:
            file.write(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
