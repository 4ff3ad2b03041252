"""Tables 2 and 3: Omniglot and MiniImagenet, trained and evaluated anew, cell by cell."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from metasgd_tf.evaluation.comparison import paired_difference
from metasgd_tf.evaluation.reports import Evaluation, write
from metasgd_tf.evaluation.trained_runs import LoadedRun, evaluate, load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.output.provenance import provenance
from metasgd_tf.reproduction import markdown
from metasgd_tf.reproduction.published import CELLS, TABLES, Row, Table, figure
from metasgd_tf.reproduction.table_files import TableFile
from metasgd_tf.runs.training import train_run

CHECKPOINT = "best"


class Trained(NamedTuple):
    """A trained run of a cell.

    Attributes:
      config: its flagfile's name, without its ending.
      settings: its resolved flags.
      evaluation: its evaluation, with its row's number of inner steps.
      alpha_negative_share: the share of α below 0 by layer; None if α is fixed.
    """

    config: str
    settings: flags.FlagValues
    evaluation: Evaluation
    alpha_negative_share: dict[str, float] | None


def reproduce(number: int, output_dir: str, cells: Sequence[str] = tuple(CELLS)) -> dict[str, Any]:
    """Trains and evaluates cells, and writes `table<number>.json` and `.md` after each.

    A finished run is only evaluated, and an interrupted one is resumed. Other cells in the files
    are kept.

    Args:
      number: the table's number, 2 or 3.
      output_dir: holds a run's directory for each flagfile, and the two files.
      cells: some of `CELLS`.

    Returns:
      The contents of the JSON file. Each cell has `results`, a row for each learner; `differences`,
      Meta-SGD minus the others on identical tasks; and the provenance. Scores are in percent.

    Raises:
      InputError: if the data are missing, or the directory holds other runs or another table.
    """
    output = pathlib.Path(output_dir)
    path = output / f"table{number}.json"
    head = {"table": number, "task": TABLES[number].task, "metric": "accuracy"}
    file = TableFile(path, head, "cells", CELLS, markdown.classification)
    file.read()  # Another table's is refused before anything slow starts.
    for cell in cells:
        made = _cell(output, TABLES[number], cell)
        with file.changed() as table:
            table["cells"][cell] = made
    return file.read()


def _cell(output: pathlib.Path, table: Table, cell: str) -> dict[str, Any]:
    ways, shots = CELLS[cell]
    rows = table.rows[ways]
    trained = [_train(output, f"{table.task}_{cell}_{row.config}", row.inner_steps) for row in rows]
    scores = {
        row.learner: 100.0 * run.evaluation.per_task[shots]["accuracy"][:, row.inner_steps]
        for row, run in zip(rows, trained, strict=True)
    }
    first, *others = rows
    return {
        "ways": ways,
        "shots": shots,
        "results": [_result(table, cell, row, run) for row, run in zip(rows, trained, strict=True)],
        "differences": [
            {
                "learner": first.learner,
                "minus": other.learner,
                **paired_difference(scores[first.learner], scores[other.learner]),
            }
            for other in others
        ],
        **provenance(),
    }


def _train(output: pathlib.Path, config: str, inner_steps: int) -> Trained:
    model_dir = str(output / config)
    settings = run_flags.of_config(config)
    train_run(settings, model_dir)
    run = load_run(model_dir, CHECKPOINT)
    evaluation = evaluate(run, inner_steps=inner_steps)
    write(model_dir, evaluation)
    return Trained(config, run.settings, evaluation, _negative_share(run))


def _negative_share(run: LoadedRun) -> dict[str, float] | None:
    alpha = run.learner.alpha
    if alpha is None or not alpha.learned:
        return None
    layers = alpha.by_layer(alpha.per_weight(alpha.rates))
    return {name: float(np.mean(values.numpy() < 0)) for name, values in layers.items()}


def _result(table: Table, cell: str, row: Row, trained: Trained) -> dict[str, Any]:
    report, settings = trained.evaluation.report, trained.settings
    ours = next(
        result
        for result in report["results"]
        if (result["metric"], result["inner_steps"]) == ("accuracy", row.inner_steps)
    )
    paper_mean, paper_ci95 = figure(table, row.learner, cell)
    return {
        "learner": row.learner,
        "mean": 100.0 * ours["mean"],
        "ci95": 100.0 * ours["ci95"],
        "paper_mean": paper_mean,
        "paper_ci95": paper_ci95,
        "config": f"configs/{trained.config}.flags",
        "seed": settings.seed,
        "iterations": settings.iterations,
        "checkpoint": report["checkpoint"],
        "iteration": report["iteration"],
        "training_seconds": report["training_seconds"],
        "batch_norm": report["batch_norm"],
        "num_tasks": ours["num_tasks"],
        "alpha_init": settings.alpha_init,
        "training_inner_steps": settings.inner_steps,
        "inner_steps": row.inner_steps,
        "alpha_negative_share": trained.alpha_negative_share,
    }
