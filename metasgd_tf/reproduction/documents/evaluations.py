"""Omniglot's accuracies as Markdown, from the results that `evaluate` wrote for each trained run.

Unlike `reproduce --table=2`, which trains every cell, it shows only the cells that were trained.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from metasgd_tf.flags import run_flags
from metasgd_tf.reproduction.elements import MISSING, as_printed, commit, interval, machine, table
from metasgd_tf.reproduction.published import CELLS, TABLES, Row, figure, words

Read = Callable[[str], dict[str, Any]]
"""Reads a file of results, by its name without `.json`."""

OMNIGLOT = TABLES[2]


class Evaluated(NamedTuple):
    """An evaluation whose numbers are published.

    Attributes:
      cell: one of `CELLS`.
      config: the last part of its flagfile's name.
      suffix: what follows the flagfile's name in the name of its file of results.
      arguments: flags that its training was given after the flagfile.
    """

    cell: str
    config: str
    suffix: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its file of results."""
        return f"{self.flagfile}{self.suffix}"

    @property
    def flagfile(self) -> str:
        """The name of its flagfile, without its ending."""
        return f"omniglot_{self.cell}_{self.config}"

    @property
    def row(self) -> Row:
        """The row of table 2 that it belongs to."""
        rows = OMNIGLOT.rows[CELLS[self.cell][0]]
        return next(row for row in rows if row.config == self.config)


FULL = (
    Evaluated("5way1shot", "meta_sgd"),
    Evaluated("5way1shot", "meta_sgd", "_last"),
    Evaluated("5way1shot", "maml"),
    Evaluated("5way1shot", "maml", "_last"),
    Evaluated("5way5shot", "meta_sgd"),
    Evaluated("5way5shot", "maml"),
    Evaluated("20way1shot", "meta_sgd"),
    Evaluated("20way1shot", "maml_1step"),
    Evaluated("20way5shot", "meta_sgd"),
)
"""The runs that made all iterations of their flagfiles."""

_SHORT = ("--queries=1", "--decay=none", "--iterations=3000")
SHORT = (
    Evaluated("5way1shot", "meta_sgd", "_3000", _SHORT),
    Evaluated("5way1shot", "maml", "_3000", _SHORT),
)
"""Runs of 3,000 iterations, one query a class, without decay."""


def accuracies(read: Read, evaluations: tuple[Evaluated, ...]) -> str:
    """Returns the accuracy of each evaluation after each of its inner steps."""
    heads = ("Omniglot", "learner", "checkpoint", "inner steps", "ours, %", "paper, %")
    rows = []
    for evaluated in evaluations:
        report = read(evaluated.name)
        for result in _accuracies(report):
            steps = result["inner_steps"]
            paper = figure(OMNIGLOT, evaluated.row.learner, evaluated.cell)
            comparable = steps == evaluated.row.inner_steps and not evaluated.arguments
            rows.append(
                [
                    words(evaluated.cell),
                    evaluated.row.learner,
                    _checkpoint(report),
                    f"{steps}",
                    interval(100 * result["mean"], 100 * result["ci95"]),
                    as_printed(*paper) if comparable else MISSING,
                ]
            )
    return table(heads, rows)


def runs(read: Read, evaluations: tuple[Evaluated, ...]) -> str:
    """Returns a table of how each evaluation was made."""
    heads = (
        "numbers",
        "flagfile",
        "seed",
        "checkpoint",
        "training time",
        "test tasks",
        "before adaptation, % (tasks)",
        "commit",
        "machine",
    )
    rows = []
    for evaluated in evaluations:
        report = read(evaluated.name)
        flags = [f"configs/{evaluated.flagfile}.flags", *evaluated.arguments]
        iterations = run_flags.of_config(evaluated.flagfile, *evaluated.arguments).iterations
        (before,) = (row for row in report["results"] if row["inner_steps"] == 0)
        seconds = report.get("training_seconds")
        rows.append(
            [
                f"[{evaluated.name}.json]({evaluated.name}.json)",
                f"`{' '.join(flags)}`",
                f"{report['seed']}",
                f"{_checkpoint(report)} of {iterations:,}",
                MISSING if seconds is None else f"{seconds:,.0f} s",
                f"{_accuracies(report)[0]['num_tasks']}",
                f"{interval(100 * before['mean'], 100 * before['ci95'])} ({before['num_tasks']})",
                commit(report),
                machine(report),
            ]
        )
    return table(heads, rows)


def _checkpoint(report: dict[str, Any]) -> str:
    # The oldest reports do not say: then there was no other checkpoint than the last.
    return f"{report.get('checkpoint', 'last')}: iteration {report['iteration']:,}"


def _accuracies(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in report["results"] if row["inner_steps"] > 0]
