"""Our recipe for Omniglot as Markdown, from the results that `evaluate` wrote."""

from typing import Any

from metasgd_tf.flags import run_flags
from metasgd_tf.reproduction.documents.evaluations import OMNIGLOT, Read
from metasgd_tf.reproduction.elements import MISSING, as_printed, commit, interval, machine, table
from metasgd_tf.reproduction.published import CELLS, figure, words

SEEDS = (0, 1, 2)
"""Of the test tasks; the first is that of all other results."""


def name(cell: str, seed: int) -> str:
    """Returns the name of a file of results, without its ending."""
    return f"omniglot_{cell}_meta_sgd_recipe" + (f"_seed{seed}" if seed else "")


def flagfile(cell: str) -> str:
    """Returns the name of a cell's flagfile, without its ending; ways do not matter in training."""
    return f"omniglot_{CELLS[cell][1]}shot_meta_sgd_recipe"


def accuracies(read: Read) -> str:
    """Returns each cell's accuracy on test tasks of each seed, beside the usual training's."""
    heads = (
        "Omniglot",
        *(f"our recipe, %: test tasks of seed {seed}" for seed in SEEDS),
        "as the paper, %",
        "paper, %",
    )
    rows = []
    for cell in CELLS:
        usual = _adapted(read(f"omniglot_{cell}_meta_sgd"))
        rows.append(
            [
                words(cell),
                *(_percent(_adapted(read(name(cell, seed)))) for seed in SEEDS),
                _percent(usual),
                as_printed(*figure(OMNIGLOT, "Meta-SGD", cell)),
            ]
        )
    return table(heads, rows)


def runs(read: Read) -> str:
    """Returns how each cell's numbers were made."""
    heads = (
        "Omniglot",
        "flagfile",
        "seed",
        "checkpoint",
        "tasks seen",
        "training time",
        "test tasks",
        "commit",
        "machine",
    )
    rows = []
    for cell in CELLS:
        report = read(name(cell, 0))
        settings = run_flags.of_config(flagfile(cell))
        seconds = report["training_seconds"]
        rows.append(
            [
                words(cell),
                f"`configs/{flagfile(cell)}.flags`",
                f"{report['seed']}",
                f"{report['checkpoint']}: iteration {report['iteration']:,} of "
                f"{settings.iterations:,}",
                f"{report['iteration'] * settings.meta_batch_size:,} of {settings.train_ways} ways",
                MISSING if seconds is None else f"{seconds:,.0f} s",
                f"{_adapted(report)['num_tasks']}",
                commit(report),
                machine(report),
            ]
        )
    return table(heads, rows)


def _adapted(report: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in report["results"] if row["inner_steps"] == 1)


def _percent(row: dict[str, Any]) -> str:
    return interval(100 * row["mean"], 100 * row["ci95"])
