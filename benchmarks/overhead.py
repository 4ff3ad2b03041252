"""Measures what progress, logging and summaries cost a training.

    python -m benchmarks.overhead --flagfiles=configs/sinusoid_5shot_meta_sgd.flags,... \
        --iterations=60000,2000

Trains by `metasgd_tf.runs.training.train_run` with everything on, and times what is not the
training itself. First calls, which compile, are left out on both sides.
"""

import collections
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags

from metasgd_tf.process_environment import prepare_process

prepare_process()

_FLAGFILES = flags.DEFINE_list("flagfiles", None, "Runs to train.", required=True)
_ITERATIONS = flags.DEFINE_list("iterations", None, "Meta-iterations of each run.", required=True)
_LIMIT_PERCENT = flags.DEFINE_float(
    "limit_percent", 3.0, "Share of progress, logging and summaries that counts as a failure."
)

TRAINING = "training"
REPORTING = ("progress", "curves", "α and direction", "images", "end")
BESIDE = "drawing, in a background thread"
OTHERS = ("scores on 2 × validation_tasks tasks", "checkpoints", BESIDE)

Clock = Callable[[], float]
Seconds = dict[str, list[float]]


@contextlib.contextmanager
def timed_parts() -> Iterator[Seconds]:
    """Times each call of the parts of training; yields the seconds by the part's name, in order."""
    from metasgd_tf.runs.summaries import Summaries
    from trainers.checkpoints.run_checkpoints import RunCheckpoints
    from trainers.progress import Progress
    from trainers.supervised.meta_trainer import MetaTrainer

    seconds: Seconds = collections.defaultdict(list)
    parts: list[tuple[str, Any, str, Clock]] = [
        (TRAINING, MetaTrainer, "train", time.perf_counter),
        ("progress", Progress, "update", time.perf_counter),
        ("curves", Summaries, "training", time.perf_counter),
        ("α and direction", Summaries, "_write_alpha", time.perf_counter),
        ("images", Summaries, "task", time.perf_counter),
        ("end", Summaries, "close", time.perf_counter),
        # Training does not wait for it, but may lack the processor time that it takes.
        (BESIDE, Summaries, "_write_task", time.thread_time),
        ("scores on 2 × validation_tasks tasks", Summaries, "_write_scores", time.perf_counter),
        ("checkpoints", RunCheckpoints, "save", time.perf_counter),
    ]
    with contextlib.ExitStack() as stack:
        for name, owner, method, clock in parts:
            original = getattr(owner, method)

            def timed(
                *arguments: Any,
                _name: str = name,
                _call: Any = original,
                _clock: Clock = clock,
                **named: Any,
            ) -> Any:
                start = _clock()
                try:
                    return _call(*arguments, **named)
                finally:
                    seconds[_name].append(_clock() - start)

            setattr(owner, method, timed)
            stack.callback(setattr, owner, method, original)
        yield seconds


def measured(flagfile: str, iterations: int) -> Seconds:
    """Trains once, and returns the seconds of each call of each part, less those that compile."""
    from metasgd_tf.flags import run_flags
    from metasgd_tf.runs.training import train_run

    settings = run_flags.parse([f"--flagfile={flagfile}", f"--iterations={iterations}"])
    with tempfile.TemporaryDirectory() as directory, timed_parts() as seconds:
        train_run(settings, directory)
    return {name: calls if name == "end" else calls[1:] for name, calls in seconds.items()}


def main(argv: list[str]) -> int | str:
    """Prints a table for each run; returns the exit code, or a sentence for stderr."""
    del argv
    from trainers.devices import use_cores_for_tasks

    if len(_FLAGFILES.value) != len(_ITERATIONS.value):
        return "--iterations should have a number for each of --flagfiles."
    use_cores_for_tasks()
    missed = []
    for flagfile, iterations in zip(_FLAGFILES.value, _ITERATIONS.value, strict=True):
        seconds = measured(flagfile, int(iterations))
        whole = sum(seconds[TRAINING])
        print(f"{flagfile}, {iterations} meta-iterations: training {whole:.2f} s", flush=True)
        for name in (*REPORTING, *OTHERS):
            part = sum(seconds.get(name, []))
            print(
                f"  {name}: {len(seconds.get(name, []))} calls, {part:.3f} s, "
                f"{100 * part / whole:.2f} %"
            )
        share = 100 * sum(sum(seconds.get(name, [])) for name in REPORTING) / whole
        print(f"  progress, logging and summaries together: {share:.2f} %", flush=True)
        if share >= _LIMIT_PERCENT.value:
            missed.append(flagfile)
    return f"{_LIMIT_PERCENT.value} % or more in: {', '.join(missed)}" if missed else 0


if __name__ == "__main__":
    app.run(main)
