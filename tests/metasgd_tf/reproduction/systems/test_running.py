"""A comparison of algorithms: a cell evaluated on made-up drawings, and others from known runs."""

import json
import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import tasks
from metasgd_tf.evaluation.reports import Evaluation
from metasgd_tf.evaluation.trained_runs import load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.images import classification as image_classification
from metasgd_tf.reproduction.systems import adapting_speed, running, systems_markdown
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.tasks import omniglot
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.seeds import stream

TASKS = 4
CELL = "5way1shot"
TINY = [
    "--task=omniglot",
    "--ways=5",
    "--shots=1",
    "--queries=1",
    "--iterations=4",
    "--seed=6",
    "--model=tests.fast_network:network",
]
LEARNERS = {"meta_sgd": ["--alpha_init=0.02"], "prototypical_nets": []}
# tests.fast_network: 16 scales and 16 offsets, then a dense layer.
EMBEDDING, OUTPUT = 32, 16 * 5 + 5


def train_run(settings, model_dir):
    """Leaves what a training leaves: a checkpoint at iteration 2, which was the best, and at 4."""
    settings = run_flags.resolve(settings)
    family = tasks.from_flags(settings, ["train"])
    learner = build_learner(family, settings)
    trainer = family.trainer(learner, keras.optimizers.Adam(), meta_batch_size=1, seed=0)
    saved = RunCheckpoints(trainer, model_dir, family.metric_mode)
    for iteration, score in ((2, 0.9), (4, 0.8)):
        trainer.iteration.assign(iteration)
        saved.seconds.assign(10.04 * iteration)
        saved.save(score)
    run_flags.write(settings, model_dir)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where two algorithms were compared in a cell, and one of their runs."""
    configs = tmp_path_factory.mktemp("configs")
    for name, flags in LEARNERS.items():
        path = configs / f"omniglot_{CELL}_{name}.flags"
        lines = ["# Made up.", *TINY, f"--algorithm={name}", *flags]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    drawings = np.random.default_rng(0).integers(0, 256, [1623, 20, 28, 28, 1], np.uint8)
    path = tmp_path_factory.mktemp("table2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_flags, "CONFIGS", configs)
        patch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
        patch.setattr(image_classification, "EVALUATION_TASKS", TASKS)
        patch.setattr(adapting_speed, "SECONDS", 0.0)
        patch.setattr(running, "train_run", train_run)
        running.reproduce(2, str(path), {CELL: list(LEARNERS)})
        run = load_run(str(path / f"omniglot_{CELL}_meta_sgd"), "best")
    return path, run


@pytest.fixture(scope="module")
def rows(output):
    table = json.loads((output[0] / "table2_systems.json").read_text(encoding="utf-8"))
    assert (table["table"], table["task"], table["metric"]) == (2, "omniglot", "accuracy")
    assert list(table["cells"]) == [CELL]
    return {row["algorithm"]: row for row in table["cells"][CELL]}


def own_accuracies(output, row):
    """Returns the accuracies in percent, [tasks], that the run's own evaluation has."""
    run = output / row["config"].split("/")[1].removesuffix(".flags")
    lines = (run / "evaluation.csv").read_text(encoding="utf-8").splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return 100 * np.array([float(c[-1]) for c in cells if int(c[2]) == row["inner_steps"]])


def test_a_row_names_all_that_it_depends_on(rows):
    assert list(rows) == ["meta_sgd", "prototypical_nets"]
    shared = {
        "seed": 6,
        "eval_seed": 0,
        "iterations": 4,
        "checkpoint": "best",
        "iteration": 2,
        # Of the whole training, whichever checkpoint is evaluated.
        "training_seconds": 40.2,
        "batch_norm": "transductive",
        "num_tasks": TASKS,
        "shots": 1,
        "inner_steps": 1,
    }
    names = ("learner", "paper_mean", "paper_ci95", "parameters", "network_parameters")
    whole = EMBEDDING + OUTPUT
    expected = {
        "meta_sgd": ("Meta-SGD", 99.53, 0.26, 2 * whole, whole),
        "prototypical_nets": ("Prototypical Nets", 98.8, None, EMBEDDING, EMBEDDING),
    }
    for algorithm, row in rows.items():
        assert tuple(row[name] for name in names) == expected[algorithm]
        assert {name: row[name] for name in shared} == shared
        assert row["config"] == f"configs/omniglot_{CELL}_{algorithm}.flags"
        assert row["paper_source"] and "tensorflow" in row["versions"]
        assert math.isfinite(row["tasks_per_second"]) and row["tasks_per_second"] > 0


def test_numbers_are_those_of_the_runs_own_evaluations(rows, output):
    scores = {name: own_accuracies(output[0], row) for name, row in rows.items()}
    for name, row in rows.items():
        assert len(scores[name]) == TASKS
        assert row["mean"] == pytest.approx(scores[name].mean(), abs=1e-3)
        assert row["ci95"] == pytest.approx(1.96 * scores[name].std(ddof=1) / 2, abs=1e-3)
    assert rows["meta_sgd"]["reference_minus_this"] is None
    pairs = scores["meta_sgd"] - scores["prototypical_nets"]
    assert rows["prototypical_nets"]["reference_minus_this"] == {
        "difference": pytest.approx(pairs.mean(), abs=1e-3),
        "ci95": pytest.approx(1.96 * pairs.std(ddof=1) / 2, abs=1e-3),
        "num_tasks": TASKS,
    }


def test_the_speed_is_that_of_adapting_and_predicting(output, monkeypatch):
    monkeypatch.setattr(adapting_speed, "TASKS", 4)
    run = output[1]
    zero, three = tf.constant(0), tf.constant(3)
    answers = adapting_speed.adapting(run, inner_steps=2)().numpy()
    assert answers.shape == (4, 75, 5)
    (protocol,) = run.family.protocols(None)
    task = run.family.evaluation_episode(stream(0, "test"), "test", protocol, three, zero)
    adapted = run.learner.adapt(task.support_inputs, task.support_targets, steps=2)
    alone = run.learner.predict(adapted, task.query_inputs)
    np.testing.assert_allclose(answers[3], alone, rtol=1e-4, atol=1e-4)


def test_a_call_takes_the_median_of_those_that_count():
    now, calls = [0.0], []

    def call():
        calls.append(len(calls))
        # The first one compiles, and one is disturbed.
        now[0] += {0: 60.0, 2: 9.0}.get(calls[-1], 0.25)

    found = adapting_speed.median_seconds(call, clock=lambda: now[0])
    assert (found, len(calls)) == (0.25, 1 + adapting_speed.CALLS)


def test_a_fast_call_is_measured_for_long_enough():
    now, calls = [0.0], []

    def call():
        calls.append(now[0])
        now[0] += 0.125

    assert adapting_speed.median_seconds(call, clock=lambda: now[0]) == 0.125
    assert len(calls) == 1 + adapting_speed.SECONDS / 0.125


@pytest.fixture
def known(monkeypatch):
    """Runs of the committed flagfiles whose scores are known, the same but for the algorithm."""
    trained = []

    def train_run(settings, model_dir):
        trained.append(model_dir.rpartition("/")[2])

    def load(model_dir, checkpoint, other_task):
        config = model_dir.rpartition("/")[2]
        settings = run_flags.of_config(config)
        for name, value in other_task.items():
            settings[name].value = value
        learner = types.SimpleNamespace(
            meta_variables=[], model=types.SimpleNamespace(trainable_variables=[])
        )
        return types.SimpleNamespace(settings=settings, learner=learner, checkpoint=checkpoint)

    def evaluate(run, *, inner_steps):
        settings = run.settings
        sinusoid = settings.task == "sinusoid"
        metric, steps = ("mse" if sinusoid else "accuracy"), inner_steps or 1
        better = 0.125 * (settings.algorithm == "meta_sgd")
        task = np.array([[0.25], [0.75]]) + better
        per_task = {
            shots: {metric: np.concatenate([task - 0.25] * steps + [task], axis=1)}
            for shots in ((5, 10, 20) if sinusoid else (settings.shots,))
        }
        results = [
            {"metric": metric, "shots": shots, "inner_steps": step, "mean": m, "ci95": 0.01}
            | {"num_tasks": 2, "repeats": 100 if sinusoid else 1}
            for shots, scores in per_task.items()
            for step, m in enumerate(scores[metric].mean(axis=0))
        ]
        report = {"checkpoint": run.checkpoint, "iteration": 500, "eval_seed": 0}
        return Evaluation(report | {"results": results}, per_task)

    stand_ins = {"train_run": train_run, "load_run": load, "evaluate": evaluate}
    stand_ins |= {
        "write": lambda model_dir, evaluation: None,
        "newest_whole": lambda path: (path, []),
        "origin": lambda path: types.SimpleNamespace(seconds=12.34),
        "tasks_per_second": lambda run, steps: 800.0,
        "batch_norm_of": lambda learner: None,
        "differing_tasks": lambda run, settings: [],
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(running, name, stand_in)
    return trained


def test_rows_of_other_calls_stay_and_are_in_order(known, tmp_path):
    running.reproduce(2, str(tmp_path), {"20way1shot": ["maml"]})
    table = running.reproduce(2, str(tmp_path), {"5way1shot": ["anil"], "20way1shot": ["meta_sgd"]})
    assert {cell: [row["algorithm"] for row in held] for cell, held in table["cells"].items()} == {
        "5way1shot": ["anil"],
        "20way1shot": ["meta_sgd", "maml"],
    }
    assert list(table["cells"]) == ["5way1shot", "20way1shot"]
    assert known == [
        "omniglot_20way1shot_maml",
        "omniglot_5way1shot_anil",
        "omniglot_20way1shot_meta_sgd",
    ]
    assert json.loads((tmp_path / "table2_systems.json").read_text(encoding="utf-8")) == table
    text = (tmp_path / "table2_systems.md").read_text(encoding="utf-8")
    assert text == systems_markdown.whole(table)
    # The paper's own table is another file.
    assert not (tmp_path / "table2.json").exists()


def test_one_training_serves_the_cells_of_all_ways(known, tmp_path):
    cells = ["5way1shot", "20way1shot"]
    table = running.reproduce(2, str(tmp_path), {cell: ["prototypical_nets"] for cell in cells})
    assert known == ["omniglot_1shot_prototypical_nets"] * 2
    published = [table["cells"][cell][0]["paper_mean"] for cell in cells]
    assert published == [98.8, 96.0]


def test_a_row_that_is_made_again_replaces_the_one_before(known, tmp_path):
    for _ in range(2):
        table = running.reproduce(3, str(tmp_path), {"5way5shot": ["meta_sgd"]})
    (row,) = table["cells"]["5way5shot"]
    assert (row["paper_mean"], row["mean"], row["training_seconds"]) == (64.03, 62.5, 12.3)
    assert row["tasks_per_second"] == 800.0


def test_an_interruption_leaves_the_rows_before_it(known, tmp_path, monkeypatch):
    train_run = running.train_run

    def interrupted(settings, model_dir):
        if settings.algorithm == "maml":
            raise KeyboardInterrupt
        train_run(settings, model_dir)

    monkeypatch.setattr(running, "train_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.reproduce(2, str(tmp_path), {CELL: ["meta_sgd", "maml"]})
    table = json.loads((tmp_path / "table2_systems.json").read_text(encoding="utf-8"))
    assert [row["algorithm"] for row in table["cells"][CELL]] == ["meta_sgd"]


def test_runs_on_other_tasks_are_not_paired(known, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "differing_tasks", lambda run, settings: ["--split_seed=1"])
    table = running.reproduce(2, str(tmp_path), {CELL: ["meta_sgd", "maml"]})
    assert [row["reference_minus_this"] for row in table["cells"][CELL]] == [None, None]


def test_a_sinusoid_is_tested_on_other_shots_too(known, tmp_path):
    table = running.reproduce(1, str(tmp_path), {"10shot": ["meta_sgd", "maml"]})
    rows = table["cells"]["10shot"]
    assert [(row["algorithm"], row["shots"], row["paper_mean"]) for row in rows] == [
        ("meta_sgd", 5, 0.88),
        ("meta_sgd", 10, 0.53),
        ("meta_sgd", 20, 0.35),
        ("maml", 5, 1.17),
        ("maml", 10, 0.77),
        ("maml", 20, 0.56),
    ]
    # Errors are no percentages, and what table 1 evaluates is the last checkpoint.
    assert (rows[0]["mean"], rows[0]["checkpoint"], rows[0]["metric"]) == (0.625, "last", "mse")
    assert rows[3]["reference_minus_this"]["difference"] == pytest.approx(0.125)


def test_a_file_that_is_not_this_table_is_left_alone(known, tmp_path):
    path = tmp_path / "table2_systems.json"
    path.write_text('{"table": 3, "cells": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"its table2_systems\.json is not a table 2"):
        running.reproduce(2, str(tmp_path), {CELL: ["maml"]})
    assert not known
