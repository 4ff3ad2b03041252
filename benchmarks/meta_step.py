"""Measures one meta-iteration of second-order Meta-SGD, here and in other implementations.

    python -m benchmarks.meta_step --cases=omniglot,mini_imagenet --peers=torch_loop,jax

Every system runs in a process of its own and draws its own episodes. Only one works at a time, and
their rounds are interleaved (A, B, C, A, B, C, ...), so that other load on the machine affects all
alike; numbers of different runs are not comparable.
"""

import contextlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks.harness import cases, driver, floor
from metasgd_tf.output.provenance import provenance

_CASES = flags.DEFINE_list("cases", list(cases.CASES), "Cases to measure.")
_PEERS = flags.DEFINE_list(
    "peers", [], f"Systems to measure beside this project's: {', '.join(driver.PEERS)}."
)
_JSON = flags.DEFINE_string("json", None, "File to write the results to.")
_ROUNDS = flags.DEFINE_integer(
    "rounds", 7, "Rounds per system; their median is reported.", lower_bound=1
)
_ROUND_SECONDS = flags.DEFINE_float(
    "round_seconds", 1.5, "Length of a round, about.", lower_bound=0.0
)

# The mean return of 800 rollouts to 40 goals has a standard error of 3 %.
RETURN_TOLERANCE = 0.1
_DISTRIBUTIONS = ("tensorflow", "keras", "torch", "jax", "jaxlib", "numpy")


def warm_up(worker: driver.Worker, round_seconds: float) -> int:
    """Runs a worker until its pace is known, and one round more.

    Returns:
      The meta-iterations that take about `round_seconds`, at least one.
    """
    count = 1
    while True:
        seconds = worker.run(count).seconds
        if seconds >= round_seconds / 3:
            # Timed once more: the run that got here may include a compilation or a cold cache.
            seconds = worker.run(count).seconds
            count = max(1, round(count * round_seconds / seconds))
            # A system may compile for a new number of iterations.
            worker.run(count)
            return count
        count *= 2


def check_returns(case: cases.Case, workers: Sequence[driver.Worker]) -> None:
    """Checks that the first rollouts of all systems have the same mean return.

    They start with the same policy, so that their mean returns differ by chance alone, mostly by
    the goals that each drew. The losses of other kinds of cases cannot be compared like this.

    Raises:
      driver.BenchmarkError: One is too far off this project's.
    """
    if case.kind != "reinforcement":
        return
    ours, *others = workers
    for peer in others:
        if abs(peer.first_loss / ours.first_loss - 1) > RETURN_TOLERANCE:
            raise driver.BenchmarkError(
                f"{case.name}: the first mean return is {-peer.first_loss:.1f} in {peer.system} "
                f"and {-ours.first_loss:.1f} in {ours.system}; they do not do the same work."
            )


def measure(
    case: cases.Case, systems: list[str], rounds: int, round_seconds: float
) -> list[dict[str, Any]]:
    """Measures some systems on one case, their rounds interleaved.

    Args:
      case: The case.
      systems: Names of modules of `benchmarks.systems`, this project's first.
      rounds: Rounds a system.
      round_seconds: Length of a round in seconds, about.

    Returns:
      One row a system. Milliseconds are wall time over meta-iterations in a round: the median
      over the rounds, the least and the most; tasks a second follow from the median.

    Raises:
      driver.BenchmarkError: A worker ended early, or does not do the same work.
    """
    with contextlib.ExitStack() as stack:
        workers, counts = [], []
        for system in systems:
            worker = stack.enter_context(driver.Worker(system, case))
            workers.append(worker)
            counts.append(warm_up(worker, round_seconds))
        check_returns(case, workers)
        rate = floor.matrix_product_rate()
        times: list[list[float]] = [[] for _ in workers]
        for _ in range(rounds):
            for worker, count, collected in zip(workers, counts, times, strict=True):
                collected.append(worker.run(count).seconds / count * 1e3)
        return [
            {
                "case": case.name,
                "system": worker.system,
                "ms_per_iteration": statistics.median(collected),
                "ms_min": min(collected),
                "ms_max": max(collected),
                "tasks_per_second": case.tasks / statistics.median(collected) * 1e3,
                "first_step_seconds": worker.first_step_seconds,
                "first_loss": worker.first_loss,
                "floor_ms": floor.milliseconds(case, rate),
                "rounds": rounds,
                "iterations_per_round": count,
            }
            for worker, count, collected in zip(workers, counts, times, strict=True)
        ]


def table(rows: list[dict[str, Any]]) -> str:
    """Lays out the rows of one case.

    The first loss is that of meta-iteration 0, in navigation minus the mean return before the inner
    step. The last two columns are the floor's share of each system's time (see
    `benchmarks.harness.floor`), and each system's time over this project's.
    """
    ours = next(r["ms_per_iteration"] for r in rows if r["system"] == driver.OURS)
    heads = (
        *("case", "system", "ms/iteration", "min to max", "tasks/s"),
        *("first step s", "first loss", "floor", "x ours"),
    )
    layout = "{:<16} {:<11} {:>12} {:>19} {:>9} {:>12} {:>10} {:>6} {:>7}"
    lines = [layout.format(*heads)]
    for r in rows:
        lines.append(
            layout.format(
                r["case"],
                r["system"],
                f"{r['ms_per_iteration']:.4g}",
                f"{r['ms_min']:.4g} to {r['ms_max']:.4g}",
                f"{r['tasks_per_second']:.0f}",
                f"{r['first_step_seconds']:.1f}",
                f"{r['first_loss']:.4g}",
                f"{r['floor_ms'] / r['ms_per_iteration']:.0%}",
                f"{r['ms_per_iteration'] / ours:.2f}",
            )
        )
    return "\n".join(lines)


def main(argv: list[str]) -> str | None:
    """Runs the benchmark; a returned sentence goes to stderr and makes the exit code 1."""
    del argv
    try:
        chosen = driver.chosen_cases(_CASES.value)
        systems = [driver.OURS, *driver.chosen_peers(_PEERS.value)]
        path = Path(_JSON.value) if _JSON.value else None
        if path and not path.parent.is_dir():
            return f"--json: there is no folder {path.parent}."
        rows: list[dict[str, Any]] = []
        for case in chosen:
            offering = driver.offering(case, systems)
            measured = measure(case, offering, _ROUNDS.value, _ROUND_SECONDS.value)
            print(table(measured), flush=True)
            left_out = [system for system in systems if system not in offering]
            if left_out:
                print(f"{case.name} is not written for {', '.join(left_out)}: left out")
            print(flush=True)
            rows += measured
            if path:
                result = {**provenance(_DISTRIBUTIONS), "rows": rows}
                path.write_text(json.dumps(result, indent=2) + "\n")
    except driver.BenchmarkError as error:
        return str(error)
    return None


if __name__ == "__main__":
    app.run(main)
