"""Runs one system on one case in a process of its own, controlled by the driver.

    python -m benchmarks.harness.worker --system=torch_loop --case=sinusoid

Protocol, one JSON object per line. At the start the worker builds the system, runs meta-iteration 0
and writes `{"first_step_seconds", "loss"}`; the seconds leave out importing the framework. For each
line `{"first", "count"}` that it reads, it runs meta-iterations `[first, first + count)` and writes
`{"seconds", "loss", "resident_mb"}`. It ends when its input is closed.
"""

import importlib
import json
import os
import sys
import time
from typing import TextIO

import psutil
from absl import app, flags

from benchmarks.harness import cases

_SYSTEM = flags.DEFINE_string("system", None, "A module of benchmarks.systems.", required=True)
_CASE = flags.DEFINE_enum("case", None, sorted(cases.CASES), "The case to run.", required=True)


def resident_mb() -> float:
    """Returns the resident memory of this process in MB (10^6 bytes)."""
    return psutil.Process().memory_info().rss / 1e6


def protocol_output() -> TextIO:
    """Returns the real standard output, and sends all else that is written there to stderr.

    The swap is on the file descriptors, so that what a framework's C++ prints moves too.
    """
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def main(argv: list[str]) -> None:
    """Builds the system, then answers requests until there are no more."""
    del argv
    output = protocol_output()
    system = importlib.import_module(f"benchmarks.systems.{_SYSTEM.value}")
    case = cases.CASES[_CASE.value]

    begin = time.perf_counter()
    run = system.build(case)
    loss = run(0, 1)
    print(
        json.dumps({"first_step_seconds": time.perf_counter() - begin, "loss": loss}), file=output
    )
    for line in sys.stdin:
        request = json.loads(line)
        first, count = int(request["first"]), int(request["count"])
        begin = time.perf_counter()
        loss = run(first, count)
        seconds = time.perf_counter() - begin
        reply = {"seconds": seconds, "loss": loss, "resident_mb": resident_mb()}
        print(json.dumps(reply), file=output)


if __name__ == "__main__":
    app.run(main)
