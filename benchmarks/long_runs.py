"""Checks that long runs stay flat in memory: a training, and a loop of requests to an export.

    python -m benchmarks.long_runs --iterations=60000 --requests=100000 --json=long_runs.json

Training is this project's system on one case; the requests are those of `benchmarks.serving`, one
task each. Each has a process of its own, whose resident memory is noted at equal distances. The
first part is left out of the judgement, as caches fill; after it, the exit code is 1 if memory grew
by the limit or more. Either is left out by 0.
"""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from absl import app, flags

from benchmarks import driver
from metasgd_tf.output.provenance import provenance

_CASE = flags.DEFINE_string("case", "omniglot", "The case to train.")
_ITERATIONS = flags.DEFINE_integer("iterations", 60_000, "Meta-iterations.", lower_bound=0)
_REQUESTS = flags.DEFINE_integer("requests", 100_000, "Requests.", lower_bound=0)
_LIMIT_MB = flags.DEFINE_float("limit_mb", 20.0, "Growth in MB that counts as a failure.")
_JSON = flags.DEFINE_string("json", None, "File to write the results to.")

PARTS = 20
"""How often memory is noted."""


def noted(what: str, total: int, go_on: Callable[[int], float]) -> dict[str, Any]:
    """Goes on to `total`, and notes the memory of the process on the way.

    Args:
      what: what is counted.
      total: how many of it, at least `PARTS`.
      go_on: does so many more and returns the resident memory afterwards, in MB.

    Returns:
      A row: what, how many, the memory after each part, and the growth after the first one.
    """
    memory: list[float] = []
    for part in range(PARTS):
        memory.append(go_on(total * (part + 1) // PARTS - total * part // PARTS))
        print(f"{what}: {memory[-1]:.1f} MB after {total * (part + 1) // PARTS:,}", flush=True)
    return {
        "what": what,
        "count": total,
        "mb": [round(one, 1) for one in memory],
        "growth_mb": round(memory[-1] - memory[0], 1),
    }


def trained(case: str, iterations: int) -> dict[str, Any]:
    """Trains a case for so many meta-iterations."""
    (chosen,) = driver.chosen_cases([case])
    with driver.Worker(driver.OURS, chosen) as worker:
        # The first one is done when the worker is there.
        return noted(
            f"meta-iterations of {case}", iterations, lambda count: worker.run(count).resident_mb
        )


def served(requests: int) -> dict[str, Any]:
    """Sends an export so many requests of one task."""
    arguments = [f"--system={driver.OURS}", "--case=omniglot", "--tasks=1"]
    with driver.Process(arguments, "benchmarks.serving.worker", "the export") as worker:
        worker.receive()
        return noted(
            "requests", requests, lambda count: worker.ask({"requests": count})["resident_mb"]
        )


def main(argv: list[str]) -> int | str:
    """Makes the long runs; returns the exit code, or a sentence for stderr."""
    del argv
    rows = []
    try:
        if _REQUESTS.value:
            rows.append(served(_REQUESTS.value))
        if _ITERATIONS.value:
            rows.append(trained(_CASE.value, _ITERATIONS.value))
    except driver.BenchmarkError as error:
        return str(error)
    if _JSON.value:
        text = json.dumps({**provenance(), "rows": rows}, indent=2) + "\n"
        pathlib.Path(_JSON.value).write_text(text, encoding="utf-8")
    grown = [row["what"] for row in rows if row["growth_mb"] >= _LIMIT_MB.value]
    return f"Memory grew by {_LIMIT_MB.value:g} MB or more: {', '.join(grown)}." if grown else 0


if __name__ == "__main__":
    app.run(main)
