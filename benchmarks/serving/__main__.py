"""Measures requests to an export, and the same adaptation in `torch.func`, in one run.

    python -m benchmarks.serving --peers=torch_func

A request has B tasks of Omniglot's shape, 5-way 1-shot with one query per class; a system adapts to
each by one step and predicts its queries. The export is loaded by TensorFlow and called by its
signature `serving_default`; the peer does the same work as one vmap over the tasks, or without vmap
for a single task. (The predictions differ: PyTorch pads a convolution of stride 2 on another side,
and flattens in another order.)

Each system has a process of its own, only one works at a time, and their rounds are interleaved;
numbers of different runs are not comparable.
"""

import contextlib
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.harness import cases, driver
from metasgd_tf.output.provenance import provenance

_PEERS = flags.DEFINE_list("peers", [], "Systems to measure beside the export: torch_func.")
_TASKS = flags.DEFINE_list("tasks", ["1", "8", "32"], "Tasks of a request.")
_JSON = flags.DEFINE_string("json", None, "File to write the results to.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds a system.", lower_bound=1)
_REQUESTS = flags.DEFINE_integer("requests", 60, "Requests a round.", lower_bound=2)

PEERS = ("torch_func",)
CASE = "omniglot"
TOLERANCE = 1e-4
_DISTRIBUTIONS = ("tensorflow", "keras", "torch", "numpy")


def measure(systems: list[str], tasks: int, rounds: int, requests: int) -> list[dict[str, Any]]:
    """Measures some systems on requests of `tasks` tasks, their rounds interleaved.

    Args:
      systems: Modules of `benchmarks.systems` with a function `answering`.
      tasks: Tasks of a request.
      rounds: Rounds a system.
      requests: Requests of a round.

    Returns:
      One row a system: the 50th and the 99th percentile of the requests' times over all rounds,
      in ms; and tasks a second, the median over the rounds.

    Raises:
      driver.BenchmarkError: A worker ended early, or does not give probabilities.
    """
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                driver.Process(
                    [f"--system={system}", f"--case={CASE}", f"--tasks={tasks}"],
                    "benchmarks.serving.worker",
                    f"{system} on requests of {tasks} tasks",
                )
            )
            for system in systems
        ]
        case = cases.CASES[CASE]
        for system, worker in zip(systems, workers, strict=True):
            answer = np.array(worker.receive()["probabilities"])
            shape = (tasks, case.ways * case.queries, case.ways)
            if answer.shape != shape or np.abs(answer.sum(-1) - 1).max() > TOLERANCE:
                raise driver.BenchmarkError(f"{system} gives no probabilities {shape}.")
        times: list[list[list[float]]] = [[] for _ in workers]
        for _ in range(rounds):
            for worker, collected in zip(workers, times, strict=True):
                collected.append(worker.ask({"requests": requests})["seconds"])
        rows = []
        for system, collected in zip(systems, times, strict=True):
            every = np.concatenate(collected) * 1e3
            rows.append(
                {
                    "system": system,
                    "tasks": tasks,
                    "p50_ms": float(np.percentile(every, 50)),
                    "p99_ms": float(np.percentile(every, 99)),
                    "tasks_per_second": statistics.median(
                        tasks * len(seconds) / sum(seconds) for seconds in collected
                    ),
                    "requests": len(every),
                }
            )
        return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Lays out the rows; the last column is tasks a second over those of the last system."""
    heads = ("tasks", "system", "p50 ms", "p99 ms", "tasks/s", "x peer")
    layout = "{:>5} {:<12} {:>8} {:>8} {:>8} {:>7}"
    lines = [layout.format(*heads)]
    last = {row["tasks"]: row["tasks_per_second"] for row in rows}
    for row in rows:
        lines.append(
            layout.format(
                row["tasks"],
                row["system"],
                f"{row['p50_ms']:.2f}",
                f"{row['p99_ms']:.2f}",
                f"{row['tasks_per_second']:.0f}",
                f"{row['tasks_per_second'] / last[row['tasks']]:.2f}",
            )
        )
    return "\n".join(lines)


def main(argv: list[str]) -> str | None:
    """Runs the benchmark; a returned sentence goes to stderr and makes the exit code 1."""
    del argv
    try:
        unknown = sorted(set(_PEERS.value) - set(PEERS))
        if unknown:
            return f"--peers: {', '.join(unknown)} is no peer here; choose from {', '.join(PEERS)}."
        sizes = [int(text) if text.isdecimal() else 0 for text in _TASKS.value]
        if not sizes or min(sizes) < 1:
            return f"--tasks={','.join(_TASKS.value)}: should be positive numbers."
        path = Path(_JSON.value) if _JSON.value else None
        if path and not path.parent.is_dir():
            return f"--json: there is no folder {path.parent}."
        systems = [driver.OURS, *driver.chosen_peers(_PEERS.value)]
        rows: list[dict[str, Any]] = []
        for tasks in sizes:
            rows += measure(systems, tasks, _ROUNDS.value, _REQUESTS.value)
        print(table(rows))
        if path:
            result = {**provenance(_DISTRIBUTIONS), "rows": rows}
            path.write_text(json.dumps(result, indent=2) + "\n")
    except driver.BenchmarkError as error:
        return str(error)
    return None


if __name__ == "__main__":
    app.run(main)
