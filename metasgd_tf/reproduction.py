"""Table 1 of Li et al. 2017, trained and evaluated anew, with the paper's cells beside ours."""

import json
import os
import pathlib
import time
from typing import Any

import numpy as np

from metasgd_tf import run_flags
from metasgd_tf.evaluation import evaluate_run
from metasgd_tf.provenance import provenance
from metasgd_tf.training import train_run
from trainers.evaluation import mean_and_ci95

SHOTS = (5, 10, 20)
LEARNERS = {"maml": "MAML", "meta_sgd": "Meta-SGD"}
PUBLISHED = {
    (5, "maml"): ((1.13, 0.18), (0.85, 0.14), (0.71, 0.12)),
    (5, "meta_sgd"): ((0.90, 0.16), (0.63, 0.12), (0.50, 0.10)),
    (10, "maml"): ((1.17, 0.16), (0.77, 0.11), (0.56, 0.08)),
    (10, "meta_sgd"): ((0.88, 0.14), (0.53, 0.09), (0.35, 0.06)),
    (20, "maml"): ((1.29, 0.20), (0.76, 0.12), (0.48, 0.08)),
    (20, "meta_sgd"): ((1.01, 0.17), (0.54, 0.08), (0.31, 0.05)),
}
"""Mean squared error ± 95 % CI at 5, 10 and 20 shots, by the shots of training and the learner."""


def reproduce_table_1(output_dir: str) -> dict[str, Any]:
    """Trains and evaluates the six rows, and writes `table1.json` and `table1.md`.

    A row that is trained already is evaluated only.

    Args:
      output_dir: holds a run's directory for each row, and the two files.

    Returns:
      What `table1.json` holds: `results`, a row for each of the 18 cells; `differences`, Meta-SGD
      minus MAML over identical tasks, for each pair of shots; and where the numbers come from.
    """
    output = pathlib.Path(output_dir)
    results, differences = [], []
    for trained_on in SHOTS:
        errors = {}
        for algorithm in LEARNERS:
            rows, errors[algorithm] = _row(output, trained_on, algorithm)
            results += rows
        for shots in SHOTS:
            paired = errors["meta_sgd"][shots] - errors["maml"][shots]
            mean, ci95 = mean_and_ci95(paired)
            differences.append(
                {"trained_on": trained_on, "shots": shots, "difference": mean, "ci95": ci95}
            )
    table = {"table": 1, "metric": "mse", "results": results, "differences": differences}
    table |= provenance()
    _write(output / "table1.json", json.dumps(table, indent=2) + "\n")
    _write(output / "table1.md", markdown(table))
    return table


def _row(
    output: pathlib.Path, trained_on: int, algorithm: str
) -> tuple[list[dict[str, Any]], dict[int, np.ndarray]]:
    """Returns a row's cells, and the errors after adaptation [num_tasks] by shots."""
    config = f"sinusoid_{trained_on}shot_{algorithm}"
    model_dir = str(output / config)
    settings = run_flags.parse([f"--flagfile={run_flags.CONFIGS / config}.flags"])
    start = time.monotonic()
    train_run(settings, model_dir)
    seconds = time.monotonic() - start
    evaluation = evaluate_run(model_dir)
    cells = []
    for shots, (paper_mean, paper_ci95) in zip(
        SHOTS, PUBLISHED[trained_on, algorithm], strict=True
    ):
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
                "training_seconds": round(seconds, 1),
            }
        )
    errors = {shots: scores["mse"][:, -1] for shots, scores in evaluation.per_task.items()}
    return cells, errors


def markdown(table: dict[str, Any]) -> str:
    """Returns the table as Markdown: ours and the paper's in each cell, then the differences."""
    heads = " | ".join(f"{shots}-shot test: ours (paper)" for shots in SHOTS)
    lines = [f"| trained on | learner | {heads} |", "|---|---|" + "---|" * len(SHOTS)]
    for trained_on in SHOTS:
        for algorithm, learner in LEARNERS.items():
            cells = [
                f"{row['mean']:.2f} ± {row['ci95']:.2f} "
                f"({row['paper_mean']:.2f} ± {row['paper_ci95']:.2f})"
                for row in table["results"]
                if (row["trained_on"], row["algorithm"]) == (trained_on, algorithm)
            ]
            lines.append(f"| {trained_on}-shot | {learner} | {' | '.join(cells)} |")
        cells = [
            f"{row['difference']:+.2f} ± {row['ci95']:.2f}"
            for row in table["differences"]
            if row["trained_on"] == trained_on
        ]
        lines.append(f"| {trained_on}-shot | Meta-SGD − MAML | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _write(path: pathlib.Path, text: str) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
