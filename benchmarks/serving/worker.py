"""Answers requests with one system in a process of its own, controlled by `benchmarks.serving`.

Protocol, one JSON object per line. At the start the worker prepares the system, has it answer and
writes `{"probabilities"}`. For each line `{"requests"}` that it reads, it answers that many and
writes `{"seconds", "resident_mb"}`, the former a list. It ends when its input is closed.
"""

import importlib
import json
import sys
import time

import numpy as np
from absl import app, flags

from benchmarks.harness import cases
from benchmarks.harness.worker import protocol_output, resident_mb

_TASKS = flags.DEFINE_integer("tasks", None, "Tasks of a request.", required=True)
_WARM_UPS = 20


def request(case: cases.Case, tasks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws a request.

    Args:
      case: A classification case.
      tasks: Tasks of the request.

    Returns:
      Support inputs [tasks, ways x shots, size, size, channels] in [0, 1], support targets
      [tasks, ways x shots] and query inputs [tasks, ways x queries, size, size, channels].
    """
    pool = cases.image_pool(case).astype(np.float32) / np.float32(255)
    rng = np.random.default_rng(0)
    drawn = case.shots + case.queries
    chosen = []
    for _ in range(tasks):
        classes = rng.choice(cases.POOL_CLASSES, case.ways, replace=False)
        drawings = [rng.choice(cases.POOL_DRAWINGS, drawn, replace=False) for _ in classes]
        chosen.append(pool[classes[:, np.newaxis], np.stack(drawings)])
    images = np.stack(chosen)
    shape = (tasks, -1, *images.shape[3:])
    targets = np.repeat(np.arange(case.ways, dtype=np.int32), case.shots)
    return (
        images[:, :, : case.shots].reshape(shape),
        np.tile(targets, (tasks, 1)),
        images[:, :, case.shots :].reshape(shape),
    )


def main(argv: list[str]) -> None:
    """Prepares the system, then answers until there are no more requests."""
    del argv
    output = protocol_output()
    system = importlib.import_module(f"benchmarks.systems.{flags.FLAGS.system}")
    case = cases.CASES[flags.FLAGS.case]
    answer = system.answering(case, *request(case, _TASKS.value))
    probabilities = answer()
    for _ in range(_WARM_UPS):
        answer()
    print(json.dumps({"probabilities": probabilities.tolist()}), file=output)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(json.loads(line)["requests"])):
            begin = time.perf_counter()
            answer()
            seconds.append(time.perf_counter() - begin)
        reply = {"seconds": seconds, "resident_mb": resident_mb()}
        print(json.dumps(reply), file=output)


if __name__ == "__main__":
    app.run(main)
