"""Compares two runs on identical tasks, which cancels the differences between tasks."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags

from metasgd_tf.evaluation.reports import Evaluation
from metasgd_tf.evaluation.trained_runs import LoadedRun, load_run
from metasgd_tf.flags import run_flags, task_flags
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.output.text_table import aligned
from metasgd_tf.runs import division
from trainers.errors import InputError
from trainers.supervised.evaluation import mean_and_ci95

FLAG = "compare_with"
"""The flag that names the other run."""

IMAGE_FLAGS = (
    "split",
    "split_seed",
    "ways",
    "shots",
    "image_size",
    "image_channels",
    "allow_incomplete",
)
"""The flags that, with `task_flags.TASK_FLAGS`, choose the test tasks of images."""


def paired_difference(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Returns by how much two runs differ on the same tasks, with its confidence interval.

    Args:
      one: a run's score on each task, [num_tasks].
      other: another run's, on the same tasks in the same order.

    Returns:
      `difference`, the mean of one − other; `ci95`, the half-width of its 95 % confidence interval
      over the tasks; and `num_tasks`.
    """
    mean, ci95 = mean_and_ci95(np.subtract(one, other, dtype=np.float64))
    return {"difference": mean, "ci95": ci95, "num_tasks": len(one)}


def load_other(
    run: LoadedRun, other_dir: str, other_task: Mapping[str, Any] | None = None
) -> LoadedRun:
    """Loads another run, to be evaluated on the tasks of a first one, at the same checkpoint kind.

    Args:
      run: the first one.
      other_dir: the other one's directory.
      other_task: the values of `task_flags.TASK_FLAGS` with which the first one was loaded.

    Raises:
      flags.Error: if there is no such run.
      InputError: if it has no checkpoint, or would be evaluated on other tasks.
    """
    settings, own = (run_flags.read(other_dir, FLAG) for _ in range(2))
    for name, value in (other_task or {}).items():
        settings[name].value = value
    differences = differing_tasks(run, settings)
    if differences:
        raise InputError(
            f"compare_with={other_dir}: is evaluated on other tasks than model_dir={run.model_dir} "
            f"({', '.join(differences)}); name a run of the same task and protocol"
        )
    own_images = division.same_source(settings, own)
    if settings.task in division.DIVIDED and (
        own_images or division.has_its_classes(run.family, other_dir)
    ):
        _refuse_its_classes(run, other_dir, own)
    # Images are loaded once. Other families may hold more than tasks, such as the inner loss of
    # navigation, which is each run's own.
    family = run.family if isinstance(run.family, ImageClassification) else None
    return load_run(other_dir, run.checkpoint, other_task, family, FLAG)


def _refuse_its_classes(run: LoadedRun, other_dir: str, own: flags.FlagValues) -> None:
    """Refuses another run if the test of the first one has classes that it was trained on."""
    division.refuse_trained(
        run.family, other_dir, f"{FLAG}={other_dir}", "name a run with the same division of classes"
    )
    ways = run_flags.read(run.model_dir).ways
    # A run of before divisions were kept. Folders may divide the classes too, whatever the ways.
    divided = isinstance(run.family, ImageClassification) and run.family.division is not None
    by_chance = divided and division.recorded(other_dir) is None and not own.class_splits
    if by_chance and own.ways != ways:
        raise InputError(
            f"{FLAG}={other_dir}: was trained with ways={own.ways}, by which its classes are "
            f"divided otherwise than those of model_dir={run.model_dir} with {ways}; name a run "
            "with as many"
        )


def differing_tasks(run: LoadedRun, other: flags.FlagValues) -> list[str]:
    """Returns the flags that make the test tasks differ: `--name=other's instead of run's`.

    Args:
      run: a run.
      other: the flags of another one.
    """
    # The location of the data does not matter.
    names = [name for name in task_flags.TASK_FLAGS if name not in run_flags.FREE_FLAGS]
    # What a sinusoid was trained on does not matter: it is always evaluated on 5, 10 and 20 shots.
    of_users = ":" in run.settings.task
    if of_users:  # Their tasks may depend on all of them.
        names.append("queries")
    if of_users or isinstance(run.family, ImageClassification):
        names += IMAGE_FLAGS
    return [
        f"--{name}={other[name].value} instead of {run.settings[name].value}"
        for name in names
        if other[name].value != run.settings[name].value
    ]


def compare(run: LoadedRun, evaluated: Evaluation, other: LoadedRun, others: Evaluation) -> None:
    """Adds `comparison` to a run's report: the run minus another one, after the last inner step.

    Args:
      run: the run.
      evaluated: its evaluation, whose report is extended.
      other: the other run, from `load_other`.
      others: the other run's evaluation by the same protocol.
    """
    metric = run.family.metric
    evaluated.report["comparison"] = {
        "model_dir": pathlib.Path(other.model_dir).resolve().name,
        **{name: others.report[name] for name in ("algorithm", "checkpoint", "iteration")},
        "differences": [
            {
                "metric": metric,
                "shots": shots,
                "inner_steps": scores[metric].shape[1] - 1,
                "other_inner_steps": others.per_task[shots][metric].shape[1] - 1,
                **paired_difference(scores[metric][:, -1], others.per_task[shots][metric][:, -1]),
            }
            for shots, scores in evaluated.per_task.items()
        ],
    }


def table(model_dir: str, other_dir: str, comparison: dict[str, Any]) -> str:
    """Returns a comparison as text: a line that names the runs, then a row for each of the shots.

    Args:
      model_dir: the run's directory.
      other_dir: the other one's.
      comparison: what `compare` added to the run's report.
    """
    rows = [("metric", "shots", "inner steps", "difference ± 95 % CI", "tasks")]
    for row in comparison["differences"]:
        rows.append(
            (
                row["metric"],
                str(row["shots"]),
                f"{row['inner_steps']}, {row['other_inner_steps']}",
                f"{row['difference']:+.4f} ± {row['ci95']:.4f}",
                str(row["num_tasks"]),
            )
        )
    return f"{model_dir} − {other_dir}, paired on identical tasks\n{aligned(rows)}"
