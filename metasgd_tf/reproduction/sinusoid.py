"""Table 1: the sinusoid, trained and evaluated anew."""

import pathlib
from typing import Any

import numpy as np

from metasgd_tf.evaluation.comparison import paired_difference
from metasgd_tf.evaluation.reports import as_json
from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.output.provenance import provenance
from metasgd_tf.reproduction import markdown
from metasgd_tf.reproduction.published import LEARNERS, SHOTS, TABLE_1
from metasgd_tf.reproduction.table_files import write
from metasgd_tf.runs.training import train_run


def reproduce(output_dir: str) -> dict[str, Any]:
    """Trains and evaluates the six rows, and writes `table1.json` and `table1.md`.

    A finished run is only evaluated, and an interrupted one is resumed.

    Args:
      output_dir: holds a run's directory for each row, and the two files.

    Returns:
      The contents of `table1.json`: `results`, a row for each of the 18 cells; `differences`,
      Meta-SGD minus MAML on identical tasks, for each pair of shots; and the provenance.
    """
    output = pathlib.Path(output_dir)
    results, differences = [], []
    for trained_on in SHOTS:
        errors = {}
        for algorithm in LEARNERS:
            rows, errors[algorithm] = _row(output, trained_on, algorithm)
            results += rows
        for shots in SHOTS:
            paired = paired_difference(errors["meta_sgd"][shots], errors["maml"][shots])
            differences.append({"trained_on": trained_on, "shots": shots, **paired})
    table = {"table": 1, "metric": "mse", "results": results, "differences": differences}
    table = as_json(table | provenance())
    write(output / "table1.json", table, markdown.sinusoid(table))
    return table


def _row(
    output: pathlib.Path, trained_on: int, algorithm: str
) -> tuple[list[dict[str, Any]], dict[int, np.ndarray]]:
    """Returns a row's cells, and the errors after adaptation [num_tasks] by shots."""
    config = f"sinusoid_{trained_on}shot_{algorithm}"
    model_dir = str(output / config)
    settings = run_flags.of_config(config)
    train_run(settings, model_dir)
    evaluation = evaluate_run(model_dir)
    cells = []
    for shots, (paper_mean, paper_ci95) in zip(SHOTS, TABLE_1[trained_on, algorithm], strict=True):
        ours = next(
            row
            for row in evaluation.report["results"]
            if row["shots"] == shots and row["inner_steps"] == settings.inner_steps
        )
        cells.append(
            {
                "trained_on": trained_on,
                "algorithm": algorithm,
                **ours,
                "paper_mean": paper_mean,
                "paper_ci95": paper_ci95,
                "config": f"configs/{config}.flags",
                "seed": settings.seed,
                "iteration": evaluation.report["iteration"],
                "training_seconds": evaluation.report["training_seconds"],
            }
        )
    errors = {shots: scores["mse"][:, -1] for shots, scores in evaluation.per_task.items()}
    return cells, errors
