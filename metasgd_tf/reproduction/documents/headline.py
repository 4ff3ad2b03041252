"""The table of the README: the results in brief, each with a link to its page."""

from typing import Any

from metasgd_tf.reproduction.documents.evaluations import FULL, OMNIGLOT, Read
from metasgd_tf.reproduction.elements import MISSING, as_printed, interval, table
from metasgd_tf.reproduction.published import CELLS, LEARNERS, figure, words


def headline(read: Read) -> str:
    """Returns Meta-SGD beside MAML on one task of each kind, with the paper's figures.

    Args:
      read: reads a file of results, by its name.
    """
    heads = ("task", "score", "MAML: ours (paper)", "Meta-SGD: ours (paper)", "details")
    return table(heads, [_sinusoid(read), *_omniglot(read), *_navigation(read)])


def _sinusoid(read: Read) -> list[str]:
    rows = [row for row in read("table1")["results"] if row["trained_on"] == row["shots"] == 5]
    return [
        "sinusoid, 5-shot",
        "mean squared error",
        *_by_learner(rows),
        _link("table1"),
    ]


def _navigation(read: Read) -> list[list[str]]:
    return [
        [
            f"2D navigation, {start} start",
            "return after one update",
            *_by_learner([row for row in held["results"] if row["updates"] == 1]),
            _link("table4"),
        ]
        for start, held in read("table4")["starts"].items()
    ]


def _by_learner(rows: list[dict[str, Any]]) -> list[str]:
    cells = {
        row["algorithm"]: f"{interval(row['mean'], row['ci95'])} "
        f"({interval(row['paper_mean'], row['paper_ci95'])})"
        for row in rows
    }
    return [cells[algorithm] for algorithm in LEARNERS]


def _omniglot(read: Read) -> list[list[str]]:
    rows = []
    for cell in CELLS:
        cells = dict.fromkeys(LEARNERS, MISSING)
        for evaluated in FULL:
            if evaluated.cell == cell and not evaluated.suffix:
                report = read(evaluated.name)
                row = evaluated.row
                (ours,) = (
                    result
                    for result in report["results"]
                    if result["inner_steps"] == row.inner_steps
                )
                text = interval(100 * ours["mean"], 100 * ours["ci95"])
                paper = figure(OMNIGLOT, row.learner, cell)
                # A learner that is not in the paper is named by its variant: "MAML, 1 step".
                variant = row.learner.partition(",")[2]
                told = f",{variant}" if paper[0] is None else f" ({as_printed(*paper)})"
                cells[report["algorithm"]] = text + told
        link = _link("table2")
        rows.append([f"Omniglot, {words(cell)}", "accuracy, %", *cells.values(), link])
    return rows


def _link(name: str) -> str:
    return f"[table {name.removeprefix('table')}](docs/results/{name}.md)"
