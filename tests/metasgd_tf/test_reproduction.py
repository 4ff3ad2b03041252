"""Table 1 as it is put together; the runs are stood in for by known errors."""

import json

import numpy as np
import pytest

from metasgd_tf import reproduction
from metasgd_tf.evaluation import Evaluation

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
        return Evaluation({"iteration": 60_000, "results": results}, per_task)

    monkeypatch.setattr(reproduction, "train_run", train_run)
    monkeypatch.setattr(reproduction, "evaluate_run", evaluate_run)
    return runs


def test_all_six_rows_are_trained_as_the_paper_says(trained, tmp_path):
    reproduction.reproduce_table_1(str(tmp_path))
    assert [(a, shots, n) for a, shots, n, _ in trained] == [
        (algorithm, shots, 60_000) for shots in (5, 10, 20) for algorithm in ("maml", "meta_sgd")
    ]
    assert len({model_dir for *_, model_dir in trained}) == 6


def test_differences_are_paired_by_task(trained, tmp_path):
    table = reproduction.reproduce_table_1(str(tmp_path))
    assert len(table["differences"]) == 9
    first = table["differences"][0]
    assert (first["trained_on"], first["shots"]) == (5, 5)
    assert first["difference"] == pytest.approx(-0.75 / 5)
    # The differences are −0.75 ∓ 0.1: s = 0.2 / √3, so 1.96 s / √4 = 0.11316.
    assert first["ci95"] == pytest.approx(0.11316 / 5, rel=1e-4)


def test_files_hold_what_is_printed(trained, tmp_path):
    table = reproduction.reproduce_table_1(str(tmp_path))
    assert json.loads((tmp_path / "table1.json").read_text()) == table
    text = (tmp_path / "table1.md").read_text()
    assert text == reproduction.markdown(table)
    # 25 + 1 over 5 shots, beside the paper's cell.
    assert "| 5-shot | MAML | 5.20 ± 0.50 (1.13 ± 0.18) |" in text
    assert text.count("\n") == 2 + 9


def test_a_cell_names_its_flagfile_seed_and_origin(trained, tmp_path):
    table = reproduction.reproduce_table_1(str(tmp_path))
    cell = table["results"][-1]
    assert cell["config"] == "configs/sinusoid_20shot_meta_sgd.flags"
    assert (cell["seed"], cell["iteration"], cell["shots"]) == (0, 60_000, 20)
    assert (cell["paper_mean"], cell["paper_ci95"]) == (0.31, 0.05)
    assert table["machine"]["cores"] >= 1 and "tensorflow" in table["versions"]
