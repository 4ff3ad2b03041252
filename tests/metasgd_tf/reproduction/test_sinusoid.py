"""Table 1 as it is put together, from known errors, and what was published for all tables."""

import json
import re

import numpy as np
import pytest

from metasgd_tf.evaluation.reports import Evaluation
from metasgd_tf.flags import run_flags
from metasgd_tf.reproduction import markdown, published, sinusoid
from tests.metasgd_tf.shell import assert_refused, command

OFFSETS = {"maml": 1.0, "meta_sgd": 0.25}


@pytest.fixture
def trained(monkeypatch):
    runs = []

    def train_run(settings, model_dir):
        runs.append((settings.algorithm, settings.shots, settings.iterations, model_dir))

    def evaluate_run(model_dir):
        algorithm = "maml" if model_dir.endswith("maml") else "meta_sgd"
        # Four tasks of very different difficulty, on which the learners differ by 0.75 ± 0.1.
        task = np.array([10.0, 20.0, 30.0, 40.0])
        sign = np.array([1.0, -1.0, 1.0, -1.0]) * (0.1 if algorithm == "maml" else 0.0)
        per_task = {
            shots: {"mse": np.stack([task + 5, task + sign + OFFSETS[algorithm]], axis=1) / shots}
            for shots in (5, 10, 20)
        }
        results = [
            {"metric": "mse", "shots": shots, "inner_steps": step, "mean": m, "ci95": 0.5}
            for shots, scores in per_task.items()
            for step, m in enumerate(scores["mse"].mean(axis=0))
        ]
        report = {"iteration": 60_000, "training_seconds": 12.5, "results": results}
        return Evaluation(report, per_task)

    monkeypatch.setattr(sinusoid, "train_run", train_run)
    monkeypatch.setattr(sinusoid, "evaluate_run", evaluate_run)
    return runs


def test_all_six_rows_are_trained_as_the_paper_says(trained, tmp_path):
    sinusoid.reproduce(str(tmp_path))
    assert [(a, shots, n) for a, shots, n, _ in trained] == [
        (algorithm, shots, 60_000) for shots in (5, 10, 20) for algorithm in ("maml", "meta_sgd")
    ]
    assert len({model_dir for *_, model_dir in trained}) == 6


def test_differences_are_paired_by_task(trained, tmp_path):
    table = sinusoid.reproduce(str(tmp_path))
    assert len(table["differences"]) == 9
    first = table["differences"][0]
    assert (first["trained_on"], first["shots"], first["num_tasks"]) == (5, 5, 4)
    assert first["difference"] == pytest.approx(-0.75 / 5)
    # The differences are −0.75 ∓ 0.1: s = 0.2 / √3, so 1.96 s / √4 = 0.11316.
    assert first["ci95"] == pytest.approx(0.11316 / 5, rel=1e-4)


def test_files_hold_what_is_printed(trained, tmp_path):
    table = sinusoid.reproduce(str(tmp_path))
    assert json.loads((tmp_path / "table1.json").read_text(encoding="utf-8")) == table
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert text == markdown.sinusoid(table)
    # 25 + 1 over 5 shots, beside the paper's cell.
    assert "| 5-shot | MAML | 5.20 ± 0.50 (1.13 ± 0.18) |" in text
    assert "| 5-shot | Meta-SGD − MAML | -0.15 ± 0.02 |" in text
    assert text.count("\n") == 2 + 9


def test_errors_that_are_not_finite_are_null_and_dashes(trained, tmp_path, monkeypatch):
    evaluate_run = sinusoid.evaluate_run

    def diverged(model_dir):
        report, per_task = evaluate_run(model_dir)
        if model_dir.endswith("sinusoid_5shot_maml"):
            per_task[5]["mse"][0, 1] = np.inf
            report["results"][1] |= {"mean": np.inf, "ci95": np.nan}
            report["results"][3] |= {"ci95": np.inf}
        return Evaluation(report, per_task)

    monkeypatch.setattr(sinusoid, "evaluate_run", diverged)
    table = sinusoid.reproduce(str(tmp_path))
    text = (tmp_path / "table1.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) == table
    assert [table["results"][0][name] for name in ("mean", "ci95")] == [None, None]
    assert table["differences"][0] == {
        "trained_on": 5,
        "shots": 5,
        "difference": None,
        "ci95": None,
        "num_tasks": 4,
    }
    lines = (tmp_path / "table1.md").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith("| 5-shot | MAML | – (1.13 ± 0.18) | 2.60 ± – (")
    assert lines[4].startswith("| 5-shot | Meta-SGD − MAML | – | -0.07 ± 0.01 |")


def test_a_cell_names_its_flagfile_seed_and_origin(trained, tmp_path):
    table = sinusoid.reproduce(str(tmp_path))
    cell = table["results"][-1]
    assert cell["config"] == "configs/sinusoid_20shot_meta_sgd.flags"
    assert (cell["seed"], cell["iteration"], cell["shots"]) == (0, 60_000, 20)
    assert (cell["paper_mean"], cell["paper_ci95"]) == (0.31, 0.05)
    # As the run itself counted them, and not what a command took that found it trained.
    assert cell["training_seconds"] == 12.5
    assert table["machine"]["cores"] >= 1 and "tensorflow" in table["versions"]


@pytest.mark.parametrize(
    ("number", "learner", "cell", "mean", "ci95"),
    [
        (2, "Meta-SGD", "5way1shot", 99.53, 0.26),
        (2, "Meta-SGD", "5way5shot", 99.93, 0.09),
        (2, "Meta-SGD", "20way1shot", 95.93, 0.38),
        (2, "Meta-SGD", "20way5shot", 98.97, 0.19),
        (2, "MAML", "5way1shot", 98.7, 0.4),
        (2, "MAML", "20way5shot", 98.9, 0.2),
        (2, "MAML, 1 step", "20way5shot", None, None),
        (2, "Matching Nets", "20way1shot", 93.8, None),
        (2, "MANN, no convolutions (from MAML's paper)", "5way5shot", 94.9, None),
        (2, "MANN, no convolutions (from MAML's paper)", "20way1shot", None, None),
        (2, "Siamese Nets (as MAML's paper has them)", "20way1shot", 88.2, None),
        (2, "Prototypical Nets (2017; not checked)", "5way5shot", 99.7, None),
        (2, "Reptile, transductive (2018; not checked)", "20way1shot", 89.43, None),
        (2, "MAML++ (2019; 5 checkpoints together)", "20way1shot", 97.65, None),
        (3, "Meta-SGD", "5way1shot", 50.47, 1.87),
        (3, "Meta-SGD", "20way1shot", 17.56, 0.64),
        (3, "Meta-SGD", "20way5shot", 28.92, 0.35),
        (3, "MAML", "5way5shot", 63.11, 0.92),
        (3, "MAML", "20way1shot", 16.49, 0.58),
        (3, "Meta-LSTM", "5way5shot", 60.60, 0.71),
        (3, "Matching Nets (full-context embeddings)", "20way5shot", 22.69, 0.20),
    ],
)
def test_figures_are_the_papers(number, learner, cell, mean, ci95):
    assert published.figure(published.TABLES[number], learner, cell) == (mean, ci95)


@pytest.mark.parametrize("number", published.TABLES)
def test_every_learner_has_a_figure_for_each_cell(number):
    table = published.TABLES[number]
    for figures in [*table.learners.values(), *table.others.values()]:
        assert len(figures) == len(published.CELLS)


@pytest.mark.parametrize(
    ("number", "ways", "steps"),
    [
        (2, 5, {"Meta-SGD": (1, 1), "MAML": (1, 3), "MAML, 1 step": (1, 1)}),
        (2, 20, {"Meta-SGD": (1, 1), "MAML": (5, 5), "MAML, 1 step": (1, 1)}),
        (3, 5, {"Meta-SGD": (1, 1), "MAML": (5, 10), "MAML, 1 step": (1, 1)}),
        (3, 20, {"Meta-SGD": (1, 1), "MAML": (5, 10), "MAML, 1 step": (1, 1)}),
    ],
)
def test_a_rows_flagfile_trains_it_as_its_table_says(number, ways, steps):
    table = published.TABLES[number]
    assert {row.learner: row.inner_steps for row in table.rows[ways]} == {
        learner: here for learner, (_, here) in steps.items()
    }
    for row in table.rows[ways]:
        for cell, (cell_ways, shots) in published.CELLS.items():
            if cell_ways == ways:
                path = run_flags.CONFIGS / f"{table.task}_{cell}_{row.config}.flags"
                settings = run_flags.of_config(path.stem)
                assert settings.inner_steps == steps[row.learner][0], path.name
                assert (settings.task, settings.ways, settings.shots) == (table.task, ways, shots)
                check_protocol(row.learner, settings)


ALPHAS = {
    # MAML's own, and those of one step: tuned on Omniglot, not yet on MiniImagenet.
    "MAML": {("omniglot", 5): 0.4, ("omniglot", 20): 0.1, "mini_imagenet": 0.01},
    "MAML, 1 step": {("omniglot", 5): 0.1, ("omniglot", 20): 0.2, "mini_imagenet": 0.05},
    "Meta-SGD": {("omniglot", 5): 0.02, ("omniglot", 20): 0.02, "mini_imagenet": 0.02},
}


def check_protocol(learner, settings):
    """Checks the tasks, queries and iterations of a row, and its α."""
    task, ways, shots = settings.task, settings.ways, settings.shots
    if task == "omniglot":
        tasks = {(5, 1): 32, (5, 5): 16, (20, 1): 8, (20, 5): 4}[ways, shots]
        if learner == "MAML":  # As it was published.
            tasks = {5: 32, 20: 16}[ways]
        iterations = 60_000 if (ways, shots) == (5, 1) else 20_000
        if learner == "MAML":  # As many tasks as Meta-SGD sees there.
            iterations = {(5, 1): 60_000, (5, 5): 10_000, (20, 1): 10_000, (20, 5): 5_000}[
                ways, shots
            ]
        assert (settings.queries, settings.decay) == (5, "cosine")
        alpha = ALPHAS[learner][task, ways]
    else:
        tasks, iterations = (4 if shots == 1 else 2), 60_000
        assert (settings.queries, settings.decay) == (15, "none")
        alpha = ALPHAS[learner][task]
    assert (settings.meta_batch_size, settings.iterations) == (tasks, iterations)
    assert settings.algorithm == ("meta_sgd" if learner == "Meta-SGD" else "maml")
    assert settings.alpha_init == alpha


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table=5"], r"--table=5.*<1\|2\|3\|4>"),
        (["--table=1", "--cells=5shot"], "table=1.*leave --cells out"),
        (
            ["--table=1", "--algorithms=mann", "--cells=5way1shot"],
            "--cells should name some of 5shot,10shot,20shot",
        ),
        (
            ["--table=2", "--cells=3way1shot"],
            "3way1shot.*5way1shot,5way5shot,20way1shot,20way5shot",
        ),
        (["--table=3", "--cells="], "cells.*5way1shot"),
        (["--table=4", "--cells=5way1shot"], "cells.*fixed,varying"),
    ],
)
def test_tables_and_cells_that_are_not_there_are_refused(arguments, said):
    assert re.search(said, assert_refused(command("reproduce", *arguments)))
