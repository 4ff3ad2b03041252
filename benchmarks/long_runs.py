"""Checks that long runs stay flat: a training, and a loop of requests to an export.

    python -m benchmarks.long_runs --iterations=60000 --requests=100000 --json=long_runs.json

The training is the command that a user gives, with a flagfile of the project; at equal distances
its resident memory and the files in its directory are noted. The requests are those of
`benchmarks.serving`, one task each, to a process of its own. The first half is left out of the
judgement, as caches fill and the first checkpoints come; after it, the exit code is 1 if memory
grew by the limit or more, or the number of files at all. Either is left out by 0.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app, flags

from benchmarks.harness import driver
from benchmarks.harness.resident import kilobytes
from metasgd_tf.output.provenance import provenance

_CONFIG = flags.DEFINE_string(
    "config", "configs/omniglot_5way1shot_meta_sgd.flags", "The flagfile to train by."
)
_TASKS = flags.DEFINE_integer("tasks", 4, "Tasks a meta-iteration.", lower_bound=1)
_ITERATIONS = flags.DEFINE_integer("iterations", 60_000, "Meta-iterations.", lower_bound=0)
_REQUESTS = flags.DEFINE_integer("requests", 100_000, "Requests.", lower_bound=0)
_LIMIT_MB = flags.DEFINE_float("limit_mb", 20.0, "Growth in MB that counts as a failure.")
_JSON = flags.DEFINE_string("json", None, "File to write the results to.")

PARTS = 20
"""How often memory is noted."""

SETTLED = PARTS // 2
"""Parts after which nothing is to grow."""

COLUMNS = (
    "what",
    "memory after a twentieth",
    "after half",
    "at the end",
    "files after half",
    "at the end",
)

_LOOK_SECONDS = 0.5


def shares(total: int) -> list[int]:
    """Returns the `PARTS` equally distant counts that end with `total`."""
    return [total * (part + 1) // PARTS for part in range(PARTS)]


def done_in(model_dir: pathlib.Path) -> int:
    """Returns the meta-iteration of a run's last checkpoint; 0 if there is none."""
    saved = (model_dir / "checkpoints").glob("ckpt-*.index")
    return max((int(file.stem.removeprefix("ckpt-")) for file in saved), default=0)


def files_in(folder: pathlib.Path) -> list[int]:
    """Returns the sizes in bytes of all files below a folder, without those of drafts."""
    sizes = []
    for file in folder.rglob("*"):
        # Some go while we look, such as a checkpoint that is older than the last five.
        with contextlib.suppress(FileNotFoundError):
            if file.is_file() and not re.search("_temp|draft", file.as_posix()):
                sizes.append(file.stat().st_size)
    return sizes


def trained(config: str, tasks: int, iterations: int, model_dir: pathlib.Path) -> dict[str, Any]:
    """Trains by a flagfile for so many meta-iterations, with a checkpoint after each part.

    Returns:
      A row: what, how many, and after each part the resident memory in MB, the number of files in
      the run's directory and their MB; and by how much memory and files grew in the second half.

    Raises:
      BenchmarkError: The training ended with an error.
    """
    marks = shares(iterations)
    given = {
        "flagfile": config,
        "model_dir": model_dir,
        "meta_batch_size": tasks,
        "iterations": iterations,
        "checkpoint_interval": marks[0],
    }
    command = [sys.executable, "-m", "metasgd_tf.train"]
    command += [f"--{name}={value}" for name, value in given.items()]
    notes: list[tuple[float, int, float]] = []
    resident = 0.0
    with subprocess.Popen(command, cwd=driver.ROOT, stderr=subprocess.DEVNULL) as training:
        try:
            while len(notes) < PARTS:
                ended = training.poll() is not None
                if ended and (training.returncode or done_in(model_dir) < iterations):
                    raise driver.BenchmarkError(
                        f"The training ended with exit code {training.returncode} after "
                        f"{done_in(model_dir)} of {iterations} meta-iterations."
                    )
                # Of a training that has ended the memory is that of the look before.
                resident = (not ended and kilobytes("VmRSS", str(training.pid)) / 1024) or resident
                if done_in(model_dir) >= marks[len(notes)]:
                    sizes = files_in(model_dir)
                    notes.append((resident, len(sizes), sum(sizes) / 1e6))
                    print(
                        f"meta-iterations: {resident:.1f} MB, {len(sizes)} files of "
                        f"{notes[-1][2]:.1f} MB after {marks[len(notes) - 1]:,}",
                        flush=True,
                    )
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            training.kill()
            raise
    return {
        "what": f"meta-iterations of {tasks} tasks by {config}",
        "count": iterations,
        "mb": [round(megabytes, 1) for megabytes, _, _ in notes],
        "files": [count for _, count, _ in notes],
        "files_mb": [round(megabytes, 1) for _, _, megabytes in notes],
        "growth_mb": round(notes[-1][0] - notes[SETTLED - 1][0], 1),
        "more_files": notes[-1][1] - notes[SETTLED - 1][1],
    }


def served(requests: int) -> dict[str, Any]:
    """Sends an export so many requests of one task.

    Returns:
      A row: what, how many, the resident memory in MB after each part, and its growth in the
      second half.
    """
    arguments = [f"--system={driver.OURS}", "--case=omniglot", "--tasks=1"]
    memory: list[float] = []
    with driver.Process(arguments, "benchmarks.serving.worker", "the export") as worker:
        worker.receive()
        done = 0
        for mark in shares(requests):
            memory.append(worker.ask({"requests": mark - done})["resident_mb"])
            done = mark
            print(f"requests: {memory[-1]:.1f} MB after {mark:,}", flush=True)
    return {
        "what": "requests",
        "count": requests,
        "mb": [round(megabytes, 1) for megabytes in memory],
        "growth_mb": round(memory[-1] - memory[SETTLED - 1], 1),
    }


def row(one: dict[str, Any]) -> list[str]:
    """Returns what was found as a row of `COLUMNS`."""
    memory = [f"{one['mb'][part]:.0f} MB" for part in (0, SETTLED - 1, PARTS - 1)]
    files = [
        f"{one['files'][part]} of {one['files_mb'][part]:.0f} MB" if "files" in one else "–"
        for part in (SETTLED - 1, PARTS - 1)
    ]
    return [f"{one['count']:,} {one['what']}", *memory, *files]


def main(argv: list[str]) -> int | str:
    """Makes the long runs; returns the exit code, or a sentence for stderr."""
    del argv
    if 0 < _ITERATIONS.value < PARTS or 0 < _REQUESTS.value < PARTS:
        return f"--iterations and --requests must be 0, or {PARTS} or more."
    found = []
    try:
        if _REQUESTS.value:
            found.append(served(_REQUESTS.value))
        if _ITERATIONS.value:
            with tempfile.TemporaryDirectory() as folder:
                run = pathlib.Path(folder) / "run"
                found.append(trained(_CONFIG.value, _TASKS.value, _ITERATIONS.value, run))
    except driver.BenchmarkError as error:
        return str(error)
    if _JSON.value:
        told: dict[str, Any] = {"command": "python -m benchmarks.long_runs", "columns": COLUMNS}
        told |= {"rows": [row(one) for one in found], "found": found, **provenance()}
        pathlib.Path(_JSON.value).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    grown = [one["what"] for one in found if one["growth_mb"] >= _LIMIT_MB.value]
    if grown:
        return f"Memory grew by {_LIMIT_MB.value:g} MB or more: {', '.join(grown)}."
    more = [one["what"] for one in found if one.get("more_files", 0) > 0]
    return f"Files became more and more: {', '.join(more)}." if more else 0


if __name__ == "__main__":
    app.run(main)
