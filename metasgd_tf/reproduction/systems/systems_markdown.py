"""The comparison of algorithms as Markdown: scores, what they cost, and where they come from."""

from collections.abc import Callable
from typing import Any

from metasgd_tf.reproduction import published
from metasgd_tf.reproduction.elements import (
    MISSING,
    as_printed,
    commit,
    interval,
    machine,
    table,
)
from metasgd_tf.reproduction.systems.compared import cells
from metasgd_tf.reproduction.systems.published_systems import COMPARED, PUBLISHED, SYSTEMS, figure

Row = dict[str, Any]


def whole(results: dict[str, Any]) -> str:
    """Returns all that is known of a comparison.

    Args:
      results: what `running.reproduce` returned.
    """
    return "\n".join([scores(results), missing(results), costs(results), runs(results)])


def scores(results: dict[str, Any]) -> str:
    """Returns ours and the published figure of each system in each cell, and the differences."""
    return _sinusoid(results) if results["table"] == 1 else _classification(results)


def _classification(results: dict[str, Any]) -> str:
    number = results["table"]
    heads = [
        f"{results['task']}, accuracy in %",
        *(f"{published.words(cell)}: ours (published)" for cell in cells(number)),
    ]
    rows = []
    for algorithm, learner in _learners(results).items():
        found = []
        for cell in cells(number):
            paper = figure(number, algorithm, cell, published.CELLS[cell][1])
            row = _row(results, cell, algorithm)
            found.append(_ours(row) + _bracketed(paper.mean, paper.ci95))
        rows.append([learner, *found])
    for algorithm, learner in _learners(results).items():
        found = [_difference(_row(results, cell, algorithm)) for cell in cells(number)]
        if set(found) != {MISSING}:
            rows.append([f"Meta-SGD − {learner}", *found])
    return table(heads, rows)


def _sinusoid(results: dict[str, Any]) -> str:
    tests = published.SHOTS
    heads = ["trained on", "learner", *(f"{k}-shot test: ours (published)" for k in tests)]
    rows = []
    for cell in cells(1):
        for algorithm, learner in _learners(results).items():
            papers = [figure(1, algorithm, cell, shots) for shots in tests]
            found = [
                _ours(_row(results, cell, algorithm, shots))
                + (f" ({interval(paper.mean, paper.ci95)})" if paper.mean and paper.ci95 else "")
                for shots, paper in zip(tests, papers, strict=True)
            ]
            rows.append([_words(cell), learner, *found])
        for algorithm, learner in _learners(results).items():
            found = [_difference(_row(results, cell, algorithm, shots)) for shots in tests]
            if set(found) != {MISSING}:
                rows.append([_words(cell), f"Meta-SGD − {learner}", *found])
    return table(heads, rows)


def missing(results: dict[str, Any]) -> str:
    """Returns a sentence on the systems and cells that have not been trained yet."""
    number = results["table"]
    lacking = []
    for algorithm in COMPARED[number]:
        absent = [cell for cell in cells(number) if _row(results, cell, algorithm) is None]
        if absent:
            named = "all" if absent == cells(number) else ", ".join(map(_words, absent))
            lacking.append(f"{SYSTEMS[algorithm]} ({named})")
    return f"Not trained yet: {'; '.join(lacking)}.\n" if lacking else "All have been trained.\n"


def costs(results: dict[str, Any]) -> str:
    """Returns what each run learns, how long it was trained, and how fast it learns new tasks."""
    heads = (
        "cell",
        "learner",
        "meta-trained parameters",
        "of these, the network's",
        "iterations",
        "training",
        "inner steps in the test",
        "new tasks a second",
    )

    def told(row: Row) -> list[str]:
        return [
            f"{row['parameters']:,}",
            f"{row['network_parameters']:,}",
            f"{row['iterations']:,}",
            f"{row['training_seconds']:,.0f} s",
            f"{row['inner_steps']}",
            _rate(row["tasks_per_second"]),
        ]

    return _of_each_run(results, heads, told)


def runs(results: dict[str, Any]) -> str:
    """Returns how the numbers of each run were made."""
    heads = (
        "cell",
        "learner",
        "flagfile",
        "seed",
        "checkpoint",
        "batch normalisation",
        "test tasks",
        "commit",
        "machine",
    )

    def told(row: Row) -> list[str]:
        device = "" if row["device"].startswith("CPU") else f", {row['device']}"
        tasks = f"{row['num_tasks']}" + f" × {row['repeats']}" * (row["repeats"] > 1)
        return [
            f"`{row['config']}`",
            f"{row['seed']}",
            f"{row['checkpoint']}: iteration {row['iteration']:,}",
            row["batch_norm"] or "none",
            tasks,
            commit(row),
            machine(row) + device,
        ]

    return _of_each_run(results, heads, told)


def sources(results: dict[str, Any]) -> str:
    """Returns where the published figures of a table are from."""
    rows = [
        [SYSTEMS[algorithm], PUBLISHED[results["table"]][algorithm].source]
        for algorithm in SYSTEMS
        if algorithm in PUBLISHED[results["table"]]
    ]
    return table(("published figures of", "source"), rows)


def _of_each_run(
    results: dict[str, Any], heads: tuple[str, ...], told: Callable[[Row], list[str]]
) -> str:
    rows = [
        [_words(cell), row["learner"], *told(row)]
        for cell, held in results["cells"].items()
        for row in held
        # Table 1 has a row for each number of shots in the test.
        if row["shots"] == _shots(cell)
    ]
    return table(heads, rows) if rows else "No run yet.\n"


def _learners(results: dict[str, Any]) -> dict[str, str]:
    """Returns the systems of the comparison, then others that have been trained, with titles."""
    others = {
        row["algorithm"]: row["learner"] for held in results["cells"].values() for row in held
    }
    return {name: SYSTEMS[name] for name in COMPARED[results["table"]]} | others


def _row(
    results: dict[str, Any], cell: str, algorithm: str, shots: int | None = None
) -> Row | None:
    """Returns a run's row for the shots in the test, by default those of training."""
    wanted = algorithm, shots or _shots(cell)
    held = results["cells"].get(cell, [])
    return next((row for row in held if (row["algorithm"], row["shots"]) == wanted), None)


def _ours(row: Row | None) -> str:
    return interval(row["mean"], row["ci95"]) if row else MISSING


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _bracketed(mean: float | None, ci95: float | None) -> str:
    return "" if mean is None else f" ({as_printed(mean, ci95)})"


def _difference(row: Row | None) -> str:
    held = row and row["reference_minus_this"]
    return interval(held["difference"], held["ci95"], sign="+") if held else MISSING


def _shots(cell: str) -> int:
    return published.CELLS[cell][1] if cell in published.CELLS else int(cell.removesuffix("shot"))


def _words(cell: str) -> str:
    return published.words(cell) if cell in published.CELLS else f"{_shots(cell)}-shot"
