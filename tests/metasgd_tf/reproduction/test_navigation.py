"""Table 4: a start trained in earnest by one seed, and what is made of known returns by another."""

import copy
import json

import numpy as np
import pytest

from metasgd_tf.evaluation import reports, trained_runs
from metasgd_tf.flags import run_flags
from metasgd_tf.reproduction import markdown, navigation
from metasgd_tf.runs import training
from metasgd_tf.tasks import navigation as family
from trainers.errors import InputError

pytestmark = pytest.mark.slow

TASKS = 5
TINY = [
    "--task=navigation",
    "--meta_batch_size=2",
    "--trajectories=2",
    "--horizon=4",
    "--iterations=1",
    "--checkpoint_interval=1",
    "--validation_tasks=2",
    "--optimizer=adam",
]
LEARNERS = {"meta_sgd": "--alpha_init=0.02", "maml": "--alpha_init=0.5"}
# What the runs of seed 7 are said to return, [tasks, updates + 1].
KNOWN = {
    name: np.random.default_rng(number).uniform(-50.0, -1.0, [TASKS, 4])
    for number, name in enumerate(LEARNERS)
}


def train_run(settings, model_dir):
    if settings.seed != 7:
        training.train_run(settings, model_dir)


def evaluate_run(model_dir):
    if not model_dir.endswith("_seed7"):
        return trained_runs.evaluate_run(model_dir)
    returns = KNOWN["meta_sgd" if "meta_sgd" in model_dir else "maml"]
    return reports.Evaluation({"iteration": 1, "training_seconds": 2.5}, {2: {"return": returns}})


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where the fixed start was reproduced, with small flagfiles."""
    configs = tmp_path_factory.mktemp("configs")
    for algorithm, rate in LEARNERS.items():
        path = configs / f"navigation_fixed_{algorithm}.flags"
        lines = ["# Made up.", *TINY, f"--algorithm={algorithm}", rate]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = tmp_path_factory.mktemp("table4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_flags, "CONFIGS", configs)
        patch.setattr(family, "EVALUATION_TASKS", TASKS)
        patch.setattr(family, "TOGETHER", TASKS)
        patch.setattr(navigation, "SEEDS", (4, 7))
        patch.setattr(navigation, "train_run", train_run)
        patch.setattr(navigation, "evaluate_run", evaluate_run)
        navigation.reproduce(str(path), ["fixed"])
    return path


@pytest.fixture
def start(output):
    table = json.loads((output / "table4.json").read_text(encoding="utf-8"))
    assert (table["table"], table["metric"], list(table["starts"])) == (4, "return", ["fixed"])
    return table["starts"]["fixed"]


def returns(output, algorithm):
    """Returns what the run's own evaluation has, and what is known: [seeds, tasks, updates + 1]."""
    path = output / f"navigation_fixed_{algorithm}_seed4" / "evaluation.csv"
    _, *lines = path.read_text(encoding="utf-8").splitlines()
    values = np.array([float(line.split(",")[-1]) for line in lines])
    return np.stack([values.reshape(TASKS, 4), KNOWN[algorithm]])


def test_a_row_is_the_mean_over_seeds_and_its_interval_is_over_goals(output, start):
    for algorithm, paper in {"maml": -9.12, "meta_sgd": -8.64}.items():
        rows = [row for row in start["results"] if row["algorithm"] == algorithm]
        of_goals = returns(output, algorithm).mean(axis=0)
        assert [row["updates"] for row in rows] == [0, 1, 2, 3]
        for row, values in zip(rows, of_goals.T, strict=True):
            assert row["mean"] == pytest.approx(values.mean(), rel=1e-4)
            half = 1.96 * values.std(ddof=1) / np.sqrt(TASKS)
            assert row["ci95"] == pytest.approx(half, rel=1e-3)
            assert (row["num_tasks"], row["num_seeds"]) == (TASKS, 2)
            assert row.get("paper_mean") == (paper if row["updates"] == 1 else None)


def test_differences_are_paired_by_goals(output, start):
    ours, other = (returns(output, name).mean(axis=0) for name in ("meta_sgd", "maml"))
    for row, values in zip(start["differences"], (ours - other).T, strict=True):
        assert row["difference"] == pytest.approx(values.mean(), abs=1e-4)
        half = 1.96 * values.std(ddof=1) / np.sqrt(TASKS)
        assert row["ci95"] == pytest.approx(half, abs=1e-4)


def test_each_seed_is_named_with_what_it_depends_on(output, start):
    assert [(run["algorithm"], run["seed"]) for run in start["seeds"]] == [
        ("maml", 4),
        ("maml", 7),
        ("meta_sgd", 4),
        ("meta_sgd", 7),
    ]
    for run in start["seeds"]:
        assert run["config"] == f"configs/navigation_fixed_{run['algorithm']}.flags"
        assert (run["iteration"], run["reward"], run["trajectories"]) == (1, "distance", 2)
        number = (4, 7).index(run["seed"])
        means = returns(output, run["algorithm"])[number].mean(axis=0)
        np.testing.assert_allclose(run["returns"], means, rtol=1e-4)


def test_the_markdown_has_every_number(output, start):
    text = (output / "table4.md").read_text(encoding="utf-8")
    assert text == markdown.navigation({"starts": {"fixed": start}})
    first = start["results"][1]
    assert f"| fixed | MAML | {start['results'][0]['mean']:.2f} ± " in text
    assert f"{first['mean']:.2f} ± {first['ci95']:.2f}" in text
    assert "| -9.12 ± 0.66 |" in text and "| -8.64 ± 0.68 |" in text
    assert f"{start['differences'][1]['difference']:+.2f} ± " in text


def test_returns_that_are_not_finite_are_dashes(start):
    diverged = copy.deepcopy(start)
    diverged["results"][0] |= {"mean": None, "ci95": None}
    diverged["differences"][0] |= {"difference": None, "ci95": None}
    diverged["seeds"][0]["returns"][1:] = [None] * 3
    lines = markdown.navigation({"starts": {"fixed": diverged}}).splitlines()
    assert lines[2].startswith("| fixed | MAML | – | ")
    assert lines[4].startswith("| fixed | Meta-SGD − MAML | – | ")
    first = diverged["seeds"][0]["returns"][0]
    assert any(line.endswith(f"| {first:.2f}, –, –, – |") for line in lines)


def test_another_tables_file_is_refused(tmp_path):
    (tmp_path / "table4.json").write_text('{"table": 2, "cells": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"its table4\.json is not a table 4 that this command"):
        navigation.reproduce(str(tmp_path), [])
