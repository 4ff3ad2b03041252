"""Tables 2 and 3: a cell trained in earnest on made-up drawings, and all from known runs."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.reports import Evaluation
from metasgd_tf.evaluation.trained_runs import load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.images import classification as image_classification
from metasgd_tf.reproduction import classification, markdown
from metasgd_tf.reproduction.published import CELLS
from metasgd_tf.tasks import omniglot
from trainers.errors import InputError

pytestmark = pytest.mark.slow

TASKS = 4
TINY = [
    "--task=omniglot",
    "--ways=5",
    "--shots=1",
    "--queries=1",
    "--meta_batch_size=1",
    "--iterations=4",
    "--summary_interval=1",
    "--checkpoint_interval=2",
    "--validation_tasks=2",
    "--seed=6",
    "--model=tests.fast_network:network",
]


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def output(patch, tmp_path_factory):
    """Where the cell 5way1shot of table 2 was reproduced, with small flagfiles and drawings."""
    configs = tmp_path_factory.mktemp("configs")
    for name, flags in {
        "meta_sgd": ["--algorithm=meta_sgd", "--alpha_init=0.02"],
        "maml": ["--algorithm=maml", "--alpha_init=0.4"],
        "maml_1step": ["--algorithm=maml", "--alpha_init=0.1"],
    }.items():
        path = configs / f"omniglot_5way1shot_{name}.flags"
        path.write_text("\n".join(["# Made up.", *TINY, *flags]) + "\n", encoding="utf-8")
    drawings = np.random.default_rng(0).integers(0, 256, [1623, 20, 28, 28, 1], np.uint8)
    patch.setattr(run_flags, "CONFIGS", configs)
    patch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
    patch.setattr(image_classification, "EVALUATION_TASKS", TASKS)
    path = tmp_path_factory.mktemp("table2")
    classification.reproduce(2, str(path), ["5way1shot"])
    return path


@pytest.fixture
def cell(output):
    table = json.loads((output / "table2.json").read_text(encoding="utf-8"))
    assert (table["table"], table["task"], list(table["cells"])) == (2, "omniglot", ["5way1shot"])
    return table["cells"]["5way1shot"]


def test_a_cell_names_all_that_it_depends_on(cell, output):
    assert (cell["ways"], cell["shots"], cell["machine"]["cores"] >= 1) == (5, 1, True)
    shared = {
        "seed": 6,
        "iterations": 4,
        "checkpoint": "best",
        "batch_norm": "transductive",
        "num_tasks": TASKS,
        "training_inner_steps": 1,
    }
    rows = [
        ("Meta-SGD", "meta_sgd", 0.02, 1, 99.53, 0.26),
        ("MAML", "maml", 0.4, 3, 98.7, 0.4),
        ("MAML, 1 step", "maml_1step", 0.1, 1, None, None),
    ]
    for result, (learner, config, alpha, steps, mean, ci95) in zip(
        cell["results"], rows, strict=True
    ):
        assert (result["learner"], result["inner_steps"]) == (learner, steps)
        assert result["config"] == f"configs/omniglot_5way1shot_{config}.flags"
        assert (result["paper_mean"], result["paper_ci95"]) == (mean, ci95)
        assert result["alpha_init"] == pytest.approx(alpha)
        assert {name: result[name] for name in shared} == shared
        assert result["iteration"] in (2, 4) and result["training_seconds"] > 0
    assert {path.name for path in output.iterdir() if path.is_dir()} == {
        "omniglot_5way1shot_maml",
        "omniglot_5way1shot_maml_1step",
        "omniglot_5way1shot_meta_sgd",
    }


def test_numbers_are_those_of_the_runs_own_evaluations(cell, output):
    scores = {}
    for result in cell["results"]:
        run = output / result["config"].split("/")[1].removesuffix(".flags")
        lines = (run / "evaluation.csv").read_text(encoding="utf-8").splitlines()[1:]
        steps = np.array([line.split(",")[2:] for line in lines], float)
        own = 100 * steps[steps[:, 0] == result["inner_steps"]][:, -1]
        assert len(own) == TASKS
        assert result["mean"] == pytest.approx(own.mean(), abs=1e-3)
        assert result["ci95"] == pytest.approx(1.96 * own.std(ddof=1) / 2, abs=1e-3)
        scores[result["learner"]] = own
    assert [(d["learner"], d["minus"]) for d in cell["differences"]] == [
        ("Meta-SGD", "MAML"),
        ("Meta-SGD", "MAML, 1 step"),
    ]
    for found in cell["differences"]:
        pairs = scores["Meta-SGD"] - scores[found["minus"]]
        assert found["difference"] == pytest.approx(pairs.mean(), abs=1e-3)
        assert found["ci95"] == pytest.approx(1.96 * pairs.std(ddof=1) / 2, abs=1e-3)
        assert found["num_tasks"] == TASKS


def test_only_a_learned_alpha_has_a_negative_share(cell, output):
    learned, *fixed = (result["alpha_negative_share"] for result in cell["results"])
    assert fixed == [None, None]
    run = load_run(str(output / "omniglot_5way1shot_meta_sgd"), "best")
    rates = run.learner.alpha.rates
    # Normalisation's scale and offset, then the kernel and the bias.
    layers = {"norm": rates[:2], "output": rates[2:]}
    assert learned == {
        name: pytest.approx(np.mean(np.concatenate([np.ravel(r) for r in of_layer]) < 0))
        for name, of_layer in layers.items()
    }


def test_what_is_trained_is_evaluated_only(cell, output, capsys):
    before = {path: path.read_bytes() for path in output.glob("*/checkpoints/*.index")}
    table = classification.reproduce(2, str(output), ["5way1shot"])
    assert "/4" not in capsys.readouterr().err
    assert {path: path.read_bytes() for path in output.glob("*/checkpoints/*.index")} == before
    assert table["cells"]["5way1shot"] == cell


@pytest.fixture
def known(monkeypatch):
    """Runs whose accuracy on task t after step s is known, the same for all but MAML's own."""
    asked = []

    def train_run(settings, model_dir):
        asked.append((settings.ways, settings.shots, settings.algorithm, settings.inner_steps))

    def loaded(model_dir, checkpoint):
        config = model_dir.rpartition("/")[2]
        layers = {"a": tf.constant([-1.0, 1.0]), "b": tf.constant([1.0])}
        alpha = types.SimpleNamespace(
            learned=["rates"] if config.endswith("meta_sgd") else [],
            rates=[],
            per_weight=lambda rates: rates,
            by_layer=lambda rates: layers,
        )
        learner = types.SimpleNamespace(alpha=alpha)
        return types.SimpleNamespace(settings=run_flags.of_config(config), learner=learner)

    def evaluate(run, *, inner_steps):
        task = np.array([[0.5], [0.7]])
        better = 0.125 if run.settings.algorithm == "meta_sgd" else 0.0
        accuracy = task + better + np.arange(inner_steps + 1) / 64
        rows = [
            {"metric": "accuracy", "inner_steps": step, "mean": m, "ci95": 0.1, "num_tasks": 2}
            for step, m in enumerate(accuracy.mean(axis=0))
        ]
        report = {"checkpoint": "best", "iteration": 5000, "training_seconds": 1234.5}
        report |= {"batch_norm": "transductive", "results": rows}
        return Evaluation(report, {run.settings.shots: {"accuracy": accuracy}})

    for name, stand_in in {
        "train_run": train_run,
        "load_run": loaded,
        "evaluate": evaluate,
    }.items():
        monkeypatch.setattr(classification, name, stand_in)
    monkeypatch.setattr(classification, "write", lambda model_dir, evaluation: None)
    monkeypatch.setattr(run_flags, "CONFIGS", CONFIGS)
    return asked


CONFIGS = run_flags.CONFIGS


@pytest.mark.parametrize("number", [2, 3])
def test_all_cells_are_trained_each_run_once(known, tmp_path, number):
    table = classification.reproduce(number, str(tmp_path))
    assert list(table["cells"]) == list(CELLS)
    assert known == [
        (ways, shots, *run)
        for ways, shots in CELLS.values()
        for run in (("meta_sgd", 1), ("maml", 1 if (number, ways) == (2, 5) else 5), ("maml", 1))
    ]
    assert json.loads((tmp_path / f"table{number}.json").read_text(encoding="utf-8")) == table


def test_the_markdown_has_ours_the_papers_and_what_others_published(known, tmp_path):
    table = classification.reproduce(3, str(tmp_path), ["5way5shot", "20way1shot"])
    text = (tmp_path / "table3.md").read_text(encoding="utf-8")
    assert text == markdown.classification(table)
    accuracies, origins, shares = (part.splitlines() for part in text.split("\n\n"))
    # Meta-SGD: 60 + 12.5 + 100 / 64; MAML's ten steps: 60 + 1000 / 64.
    assert accuracies[2:7] == [
        "| Meta-SGD | – (50.47 ± 1.87) | 74.06 ± 10.00 (64.03 ± 0.94) | "
        "74.06 ± 10.00 (17.56 ± 0.64) | – (28.92 ± 0.35) |",
        "| MAML | – (48.70 ± 1.84) | 75.62 ± 10.00 (63.11 ± 0.92) | "
        "75.62 ± 10.00 (16.49 ± 0.58) | – (19.29 ± 0.29) |",
        "| MAML, 1 step | – | 61.56 ± 10.00 | 61.56 ± 10.00 | – |",
        "| Meta-SGD − MAML | – | -1.56 ± 0.00 | -1.56 ± 0.00 | – |",
        "| Meta-SGD − MAML, 1 step | – | +12.50 ± 0.00 | +12.50 ± 0.00 | – |",
    ]
    assert accuracies[7:] == [
        "| Matching Nets (full-context embeddings), published | "
        "43.56 ± 0.84 | 55.31 ± 0.73 | 17.31 ± 0.22 | 22.69 ± 0.20 |",
        "| Meta-LSTM, published | 43.44 ± 0.77 | 60.60 ± 0.71 | 16.70 ± 0.23 | 26.06 ± 0.25 |",
    ]
    assert origins[3].startswith(
        "| 5-way 5-shot | MAML | `configs/mini_imagenet_5way5shot_maml.flags` | 0 | 0.01 | 5, 10 | "
        "best: 5,000 of 60,000, 1,234 s | transductive | 2 |"
    )
    assert len(origins) == 2 + 6
    assert shares[2] == "| 5-way 5-shot | Meta-SGD | a 50.0%, b 0.0% |" and len(shares) == 2 + 2


def test_figures_have_as_many_digits_as_were_published(known, tmp_path):
    text = markdown.classification(classification.reproduce(2, str(tmp_path), ["20way5shot"]))
    assert "| MAML | – (98.7 ± 0.4) | – (99.9 ± 0.1) | – (95.8 ± 0.3) | " in text
    assert "| MANN, no convolutions (from MAML's paper), published | 82.8 | 94.9 | – | – |" in text
    assert "Reptile, transductive (2018; not checked), published | 97.68 | 99.48 |" in text


def test_cells_that_are_not_asked_for_stay(known, tmp_path):
    first = classification.reproduce(2, str(tmp_path), ["20way5shot"])["cells"]["20way5shot"]
    known.clear()
    table = classification.reproduce(2, str(tmp_path), ["5way1shot"])
    assert {ways for ways, *_ in known} == {5}
    assert list(table["cells"]) == ["5way1shot", "20way5shot"]
    assert table["cells"]["20way5shot"] == first


def test_what_another_command_made_meanwhile_stays(known, tmp_path, monkeypatch):
    train_run = classification.train_run

    def while_training(settings, model_dir):
        train_run(settings, model_dir)
        if settings.ways == 5:
            classification.reproduce(2, str(tmp_path), ["20way5shot"])

    monkeypatch.setattr(classification, "train_run", while_training)
    table = classification.reproduce(2, str(tmp_path), ["5way1shot"])
    assert list(table["cells"]) == ["5way1shot", "20way5shot"]
    assert json.loads((tmp_path / "table2.json").read_text(encoding="utf-8")) == table


def test_an_interruption_leaves_the_cells_before_it(known, tmp_path, monkeypatch):
    train_run = classification.train_run

    def interrupted(settings, model_dir):
        if (settings.ways, settings.shots) == (5, 5):
            raise KeyboardInterrupt
        train_run(settings, model_dir)

    monkeypatch.setattr(classification, "train_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        classification.reproduce(2, str(tmp_path))
    table = json.loads((tmp_path / "table2.json").read_text(encoding="utf-8"))
    assert list(table["cells"]) == ["5way1shot"]
    assert (tmp_path / "table2.md").exists()


@pytest.mark.parametrize("held", ["{", "[]", '{"table": 3, "cells": {}}', '{"table": 2}'])
def test_a_file_that_is_not_this_table_is_left_alone(known, tmp_path, held):
    (tmp_path / "table2.json").write_text(held, encoding="utf-8")
    with pytest.raises(
        InputError, match=f"output_dir={tmp_path}: its table2.json is not a table 2"
    ):
        classification.reproduce(2, str(tmp_path))
    assert not known and (tmp_path / "table2.json").read_text(encoding="utf-8") == held
