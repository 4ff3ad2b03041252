"""What an evaluation found: written as JSON and CSV, and shown as text.

An evaluation whose tasks are drawn in another way than usual has files named after its protocol,
such as `evaluation_maml.json`, so that the usual one's stay.
"""

import csv
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.text_table import aligned
from trainers.errors import InputError
from trainers.families import STANDARD

COLUMNS = ("metric", "shots", "inner_steps", "mean", "ci95", "num_tasks", "repeats")


class Evaluation(NamedTuple):
    """The result of an evaluation.

    Attributes:
      report: the contents of `evaluation.json`.
      per_task: for each number of shots, by metric [num_tasks, inner_steps + 1], the means over
        the repeats; NaN where a task is not scored before adaptation.
    """

    report: dict[str, Any]
    per_task: dict[int, dict[str, np.ndarray]]


def refuse_unwritable(model_dir: str) -> None:
    """Checks that a run's directory, if it is there, takes the files of an evaluation.

    Raises:
      InputError: if it does not.
    """
    if pathlib.Path(model_dir).is_dir() and not os.access(model_dir, os.W_OK | os.X_OK):
        raise InputError(
            f"model_dir={model_dir}: cannot be written to, and an evaluation is kept there; make "
            "it writable, or name a copy of it"
        )


def write(model_dir: str, evaluated: Evaluation) -> None:
    """Writes `evaluation.json` and `evaluation.csv` for a run.

    Those of another protocol or of tasks that the run was not trained on have names of their own.
    """
    protocol, cross_domain = (evaluated.report[name] for name in ("protocol", "cross_domain"))
    path = pathlib.Path(model_dir) / named("evaluation", protocol, cross_domain)
    with replaced(path.with_suffix(".csv")) as file:
        writer = csv.writer(file)
        names = list(next(iter(evaluated.per_task.values())))
        writer.writerow(["task", "shots", "inner_steps", *names])
        tasks = {
            (r["shots"], r["inner_steps"]): r["num_tasks"] for r in evaluated.report["results"]
        }
        for shots, scores in evaluated.per_task.items():
            for task, step in np.ndindex(scores[names[0]].shape):
                if task < tasks.get((shots, step), 0):
                    values = [f"{scores[name][task, step]:.6g}" for name in names]
                    writer.writerow([task, shots, step, *values])
    with replaced(path.with_suffix(".json")) as file:
        file.write(json.dumps(as_json(evaluated.report), indent=2, allow_nan=False) + "\n")


def named(what: str, protocol: str, cross_domain: bool) -> str:
    """Returns the name, without its ending, of a file that an evaluation writes.

    Args:
      what: what the file has.
      protocol: the protocol of the evaluation.
      cross_domain: whether the tasks are others than the run was trained on.
    """
    parts = [what] + [protocol] * (protocol != STANDARD) + ["cross_domain"] * cross_domain
    return "_".join(parts)


def as_json(value: Any) -> Any:
    """Returns a report, or a part of one, with Python's numbers, None for those not finite.

    JSON has none that are not finite, as the scores of a run that diverges are. A protocol of one's
    own tasks may have NumPy's.
    """
    if isinstance(value, dict):
        return {name: as_json(held) for name, held in value.items()}
    if isinstance(value, list):
        return [as_json(held) for held in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(report: dict[str, Any]) -> str:
    """Returns an evaluation as text: a title, then one row per score."""
    domain = f", cross-domain: trained on {report['trained_on']}" if report["cross_domain"] else ""
    protocol = "" if report["protocol"] == STANDARD else f", protocol {report['protocol']}"
    title = (
        f"{report['task']}{domain}{protocol}, {report['algorithm']}, iteration "
        f"{report['iteration']}"
    )
    if report["checkpoint"] == "best":
        title += " (best on validation)"
    lines: list[Sequence[str]] = [
        ("metric", "shots", "inner steps", "mean ± 95 % CI", "tasks", "repeats")
    ]
    for row in report["results"]:
        metric, shots, step, mean, ci95, *counts = (row[name] for name in COLUMNS)
        cell = f"{mean:.4f} ± {ci95:.4f}"
        lines.append([metric, str(shots), str(step), cell, *map(str, counts)])
    return "\n".join([title, aligned(lines)])
