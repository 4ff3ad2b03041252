"""Measures evaluation against training, in tasks a second at the same number of queries.

    python -m benchmarks.evaluation --cases=omniglot,mini_imagenet

This project's system alone, with 15 queries per class in both. Rounds of training and of evaluation
alternate, so that other load on the machine affects both; only their ratio is meaningful.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable

from absl import app, flags

from benchmarks.harness import cases, driver

_CASES = flags.DEFINE_list("cases", ["omniglot"], "Classification cases to measure.")
_TASKS = flags.DEFINE_integer("tasks", 600, "Tasks of an evaluation.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds to time.", lower_bound=1)

_QUERIES = 15
# So that a round of training takes about as long as an evaluation of 600 tasks.
_TRAINING_TASKS = 192


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(case: cases.Case) -> None:
    """Measures a case and prints a line."""
    from benchmarks.systems import metasgd_tf

    count = max(1, _TRAINING_TASKS // case.tasks)
    train = metasgd_tf.build(case)
    evaluate = metasgd_tf.evaluating(case, _TASKS.value)
    train(0, 1)
    evaluate()
    training, evaluating = [], []
    for number in range(_ROUNDS.value):
        first = 1 + number * count
        training.append(seconds_of(functools.partial(train, first, count)) / (count * case.tasks))
        evaluating.append(seconds_of(evaluate) / _TASKS.value)
    ratios = [one / other for one, other in zip(training, evaluating, strict=True)]
    print(
        f"{case.name}: {1e3 * statistics.median(training):.1f} ms a task in training, "
        f"{1e3 * statistics.median(evaluating):.1f} ms in evaluation, "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
        "times the tasks a second",
        flush=True,
    )


def main(argv: list[str]) -> str | None:
    """Measures every case; returns None, or a sentence for stderr."""
    del argv
    try:
        chosen = driver.chosen_cases(_CASES.value)
    except driver.BenchmarkError as error:
        return str(error)
    others = [case.name for case in chosen if case.kind != "classification"]
    if others:
        return (
            f"--cases: {', '.join(others)} should be of classification, which has queries a class."
        )
    for case in chosen:
        measure(dataclasses.replace(case, queries=_QUERIES))
    return None


if __name__ == "__main__":
    app.run(main)
