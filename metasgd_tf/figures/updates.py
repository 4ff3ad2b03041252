"""The figure of updates: scores on test tasks after each inner step, from runs' evaluations."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib import figure

from metasgd_tf.figures import style
from metasgd_tf.figures.curves import PERCENT, TITLES
from trainers.errors import InputError

NUMBERS = ("inner_steps", "mean", "ci95")
"""What of a row of results is drawn."""


@matplotlib.rc_context(style.LOOK)
def scores_by_updates(model_dirs: Sequence[str]) -> figure.Figure:
    """Draws a metric on test tasks against the number of updates, with 95 % confidence intervals.

    Args:
      model_dirs: directories of up to four runs of one metric, which have been evaluated.

    Raises:
      InputError: if a run has not been evaluated or has another metric, its evaluation cannot be
        read, or there are more than four.
    """
    runs = style.chosen(model_dirs)
    rows = [_read(run.model_dir) for run in runs]
    metric = rows[0][0]["metric"]
    drawn = figure.Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    axes = drawn.subplots()
    unit = 100 if metric in PERCENT else 1
    for run, own in zip(runs, rows, strict=True):
        if own[0]["metric"] != metric:
            raise InputError(
                f"model_dirs={run.model_dir}: is scored by {own[0]['metric']} and "
                f"{runs[0].model_dir} by {metric}; name runs of one metric"
            )
        axes.errorbar(
            [row["inner_steps"] for row in own],
            [unit * row["mean"] for row in own],
            [unit * row["ci95"] for row in own],
            marker="o",
            ms=3,
            capsize=3,
            label=run.label,
            **run.style,
        )
    axes.set_xlabel("updates")
    axes.set_xticks(sorted({row["inner_steps"] for own in rows for row in own}))
    axes.set_ylabel(f"{TITLES.get(metric, metric)} on test tasks" + (" (%)" if unit == 100 else ""))
    axes.grid(axis="y", color="0.9", lw=0.6)
    style.legend(drawn, axes.get_legend_handles_labels()[0])
    return drawn


def _read(model_dir: str) -> list[dict[str, Any]]:
    """Returns an evaluation's results for its first metric and first number of shots."""
    path = pathlib.Path(model_dir) / "evaluation.json"
    if not path.exists():
        raise InputError(
            f"model_dirs={model_dir}: has not been evaluated; run evaluate on it first"
        )
    of = ("metric", "shots")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        rows = [row for row in results if all(row[name] == results[0][name] for name in of)]
        usable = bool(rows) and all(math.isfinite(row[n]) for row in rows for n in NUMBERS)
    except (OSError, ValueError, TypeError, KeyError):
        usable = False
    if not usable:
        raise InputError(
            f"model_dirs={model_dir}: its evaluation.json is damaged, or has numbers that are not "
            "finite; run evaluate on it again"
        )
    return rows
