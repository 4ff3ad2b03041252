"""Compares algorithms on the cells of tables 1 to 3, each trained by the flagfile it has there."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from metasgd_tf.evaluation.comparison import differing_tasks, paired_difference
from metasgd_tf.evaluation.reports import Evaluation, as_json, write
from metasgd_tf.evaluation.trained_runs import LoadedRun, batch_norm_of, evaluate, load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.output.provenance import provenance
from metasgd_tf.reproduction.published import CELLS, TABLES
from metasgd_tf.reproduction.systems import systems_markdown
from metasgd_tf.reproduction.systems.adapting_speed import tasks_per_second
from metasgd_tf.reproduction.systems.compared import TASKS, cells, config
from metasgd_tf.reproduction.systems.published_systems import EVALUATION_STEPS, figure
from metasgd_tf.reproduction.table_files import TableFile
from metasgd_tf.runs.training import train_run
from trainers.checkpoints.files import newest_whole
from trainers.checkpoints.loading import KINDS, origin
from trainers.devices import describe
from trainers.learners.learner import Learner

CHECKPOINTS = {1: "last", 2: "best", 3: "best"}
"""Which checkpoint is evaluated, by the number of the table, as in the paper's own tables here."""

METRICS = {1: "mse", 2: "accuracy", 3: "accuracy"}
REFERENCE = "meta_sgd"


class Trained(NamedTuple):
    """A trained run of a cell.

    Attributes:
      algorithm: its `--algorithm`.
      config: its flagfile's name, without its ending.
      run: the run, as the checkpoint has it.
      evaluation: its evaluation on the test tasks.
      seconds: how long its whole training took.
      speed: tasks a second that it learns and answers.
    """

    algorithm: str
    config: str
    run: LoadedRun
    evaluation: Evaluation
    seconds: float
    speed: float


def reproduce(number: int, output_dir: str, chosen: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Trains and evaluates algorithms, and writes `table<number>_systems.json` and `.md` each time.

    A finished run is only evaluated, and an interrupted one is resumed. Other rows in the files are
    kept, without their differences to a reference whose row has changed.

    Args:
      number: the table's number, 1 to 3.
      output_dir: holds a run's directory for each flagfile, and the two files.
      chosen: what `compared.chosen` gives: by cell, the algorithms.

    Returns:
      The contents of the JSON file: `cells`, and in each a row for every algorithm and number of
      shots in the test, with all that its numbers depend on. Accuracies are in percent.

    Raises:
      InputError: if the data are missing, or the directory holds other runs or another table.
    """
    output = pathlib.Path(output_dir)
    path = output / f"table{number}_systems.json"
    head = {"table": number, "task": TASKS[number], "metric": METRICS[number]}
    file = TableFile(path, head, "cells", cells(number), systems_markdown.whole)
    file.read()  # Another table's is refused before anything slow starts.
    for cell, algorithms in chosen.items():
        reference = None
        for algorithm in algorithms:
            trained = _train(output, number, cell, algorithm)
            if algorithm == REFERENCE:
                reference = trained
            rows = as_json(_rows(number, cell, trained, reference))
            with file.changed() as table:
                table["cells"][cell] = _merged(table["cells"].get(cell, []), rows, algorithm)
    return file.read()


def _merged(
    before: Sequence[dict[str, Any]], made: Sequence[dict[str, Any]], algorithm: str
) -> list[dict[str, Any]]:
    """Returns the rows of a cell with those of an algorithm made anew."""
    kept = [row for row in before if row["algorithm"] != algorithm]
    if algorithm == REFERENCE and _means(made) != _means(before):
        kept = [row | {"reference_minus_this": None} for row in kept]
    return sorted([*kept, *made], key=lambda row: _place(row["algorithm"]))


def _means(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Returns the reference's scores."""
    return [row["mean"] for row in rows if row["algorithm"] == REFERENCE]


def _place(algorithm: str) -> int:
    # A file may have rows of algorithms that another version knows.
    return [*ALGORITHMS, algorithm].index(algorithm)


def _train(output: pathlib.Path, number: int, cell: str, algorithm: str) -> Trained:
    name = config(number, cell, algorithm)
    model_dir = str(output / name)
    train_run(run_flags.of_config(name), model_dir)
    ways = {} if number == 1 else {"ways": CELLS[cell][0]}
    run = load_run(model_dir, CHECKPOINTS[number], ways)
    steps = _inner_steps(number, cell, algorithm)
    evaluation = evaluate(run, inner_steps=steps)
    write(model_dir, evaluation)
    last, _ = newest_whole(str(pathlib.Path(model_dir) / KINDS["last"]))
    assert last is not None  # It has just been trained.
    return Trained(
        algorithm, name, run, evaluation, origin(last).seconds, tasks_per_second(run, steps)
    )


def _inner_steps(number: int, cell: str, algorithm: str) -> int | None:
    """Returns the inner steps of an evaluation; None where they are the training's."""
    if number == 1:
        return None
    rows = TABLES[number].rows[CELLS[cell][0]]
    of_rows = {row.config: row.inner_steps for row in rows}
    return of_rows.get(algorithm, EVALUATION_STEPS[number].get(algorithm))


def _rows(
    number: int, cell: str, trained: Trained, reference: Trained | None
) -> list[dict[str, Any]]:
    """Returns a row for each number of shots in the test."""
    settings, report = trained.run.settings, trained.evaluation.report
    learner = trained.run.learner
    facts = {
        "config": f"configs/{trained.config}.flags",
        "seed": settings.seed,
        "eval_seed": report["eval_seed"],
        "iterations": settings.iterations,
        "training_seconds": round(trained.seconds, 1),
        "checkpoint": report["checkpoint"],
        "iteration": report["iteration"],
        "batch_norm": batch_norm_of(learner),
        "parameters": _count(learner.meta_variables),
        "network_parameters": _in_the_network(learner),
        "tasks_per_second": trained.speed,
        "device": describe(),
        **provenance(),
    }
    return [
        {
            "algorithm": trained.algorithm,
            "learner": ALGORITHMS[trained.algorithm].title,
            **_scores(number, cell, shots, trained, reference),
            **facts,
        }
        for shots in trained.evaluation.per_task
    ]


def _scores(
    number: int, cell: str, shots: int, trained: Trained, reference: Trained | None
) -> dict[str, Any]:
    metric = METRICS[number]
    unit = 100.0 if metric == "accuracy" else 1.0
    ours = max(
        (
            row
            for row in trained.evaluation.report["results"]
            if (row["metric"], row["shots"]) == (metric, shots)
        ),
        key=lambda row: row["inner_steps"],
    )
    paper = figure(number, trained.algorithm, cell, shots)
    return {
        **ours,
        "mean": unit * ours["mean"],
        "ci95": unit * ours["ci95"],
        "reference_minus_this": _difference(reference, trained, metric, shots, unit),
        "paper_mean": paper.mean,
        "paper_ci95": paper.ci95,
        "paper_source": paper.source,
    }


def _difference(
    reference: Trained | None, trained: Trained, metric: str, shots: int, unit: float
) -> dict[str, Any] | None:
    """Returns Meta-SGD minus a run, None if it was not evaluated beside it on the same tasks."""
    if reference is None or reference is trained:
        return None
    if differing_tasks(reference.run, trained.run.settings):
        return None
    first, other = (
        unit * one.evaluation.per_task[shots][metric][:, -1] for one in (reference, trained)
    )
    return paired_difference(first, other)


def _count(variables: Sequence[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def _in_the_network(learner: Learner) -> int:
    """Returns how many of a learner's meta-trained parameters are the network's weights."""
    own = {id(variable) for variable in learner.model.trainable_variables}
    return _count([variable for variable in learner.meta_variables if id(variable) in own])
