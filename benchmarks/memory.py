"""Checks that meta-training does not grow in memory.

    python -m benchmarks.memory --cases=sinusoid,omniglot

Runs this project's system to one meta-iteration and on to a later one in one process, and prints
the growth of its resident memory between the two. The exit code is 1 if a case grows by the limit
or more.
"""

from absl import app, flags

from benchmarks.harness import driver

_CASES = flags.DEFINE_list("cases", ["sinusoid", "omniglot"], "Cases to check.")
_LIMIT_MB = flags.DEFINE_float("limit_mb", 20.0, "Growth in MB that counts as a failure.")
_FROM = flags.DEFINE_integer("from_iteration", 200, "First iteration to measure at.", lower_bound=2)
_TO = flags.DEFINE_integer("to_iteration", 2200, "Last iteration to measure at.", lower_bound=3)

# How many equal pieces lead to the first measurement; the second one is reached in pieces of the
# same size, since a system may compile for a new number of iterations, which is no leak.
_PIECES = 10


def resident_at(worker: driver.Worker, iteration: int, piece: int) -> float:
    """Runs a worker on until it has done `iteration` meta-iterations.

    Args:
      worker: The worker, with fewer done so far.
      iteration: Meta-iterations in all.
      piece: The most to ask for at once.

    Returns:
      Resident memory of the worker then, in MB.
    """
    while worker.done < iteration:
        reply = worker.run(min(piece, iteration - worker.done))
    return reply.resident_mb


def main(argv: list[str]) -> int | str:
    """Checks every case; returns the exit code, or a sentence for stderr."""
    del argv
    first, last = _FROM.value, _TO.value
    if last <= first:
        return "--to_iteration must lie beyond --from_iteration."
    grown = []
    try:
        for case in driver.chosen_cases(_CASES.value):
            with driver.Worker(driver.OURS, case) as worker:
                piece = max(1, first // _PIECES)
                before = resident_at(worker, first, piece)
                after = resident_at(worker, last, piece)
            print(
                f"{case.name}: {before:.0f} MB after {first} meta-iterations, {after:.0f} MB "
                f"after {last}: {after - before:+.1f} MB",
                flush=True,
            )
            if after - before >= _LIMIT_MB.value:
                grown.append(case.name)
    except driver.BenchmarkError as error:
        return str(error)
    if grown:
        return f"Memory grew by {_LIMIT_MB.value:g} MB or more on {', '.join(grown)}."
    return 0


if __name__ == "__main__":
    app.run(main)
