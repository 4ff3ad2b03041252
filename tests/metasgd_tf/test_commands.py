"""The commands as a person runs them."""

import csv
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from metasgd_tf.evaluation.reports import COLUMNS, table
from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks import omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from tests.metasgd_tf.shell import ROOT, SMALL, checkpoint_values, command, events, scalar
from trainers.checkpoints.loading import restore_learner
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import stream


def assert_same_checkpoints(one, other):
    one, other = checkpoint_values(one), checkpoint_values(other)
    assert sorted(one) == sorted(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def scalars(model_dir, split):
    """Returns {(name, step): value} from a run's event files, without histograms and images."""
    found = events(pathlib.Path(model_dir) / split)
    kinds = {place: value.metadata.plugin_data.plugin_name for place, value in found.items()}
    return {place: scalar(found[place]) for place, kind in kinds.items() if kind == "scalars"}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A run of 40 iterations, made by the command."""
    path = tmp_path_factory.mktemp("runs") / "sine"
    done = command("train", f"--model_dir={path}", *SMALL, "--iterations=40", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{path}: 40 meta-iterations done"
    lines = done.stderr.splitlines()
    assert [line.partition(" [")[0] for line in lines] == [
        f"sine: {count}/40" for count in (10, 20, 30, 40)
    ]
    return path


@pytest.fixture(scope="module")
def evaluated(model_dir):
    """What the command printed and wrote."""
    asked = f"--model_dir={model_dir}", "--num_tasks=6", "--eval_seed=2"
    done = command("evaluate", *asked)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads((model_dir / "evaluation.json").read_text(encoding="utf-8"))
    with (model_dir / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return done.stdout, report, rows


def learner_of(model_dir):
    settings = run_flags.read(str(model_dir))
    learner = build_learner(Sinusoid(settings.shots, settings.queries), settings)
    path = tf.train.latest_checkpoint(str(model_dir / "checkpoints"))
    assert restore_learner(learner, path).iteration == 40
    return learner


def test_a_run_directory_has_flags_checkpoints_and_summaries(model_dir):
    names = {"flags.txt", "checkpoints", "best", "train", "validation"}
    assert {path.name for path in model_dir.iterdir()} >= names
    assert {path.name for path in (model_dir / "checkpoints").glob("*.index")} == {
        "ckpt-20.index",
        "ckpt-40.index",
    }
    settings = run_flags.read(str(model_dir))
    assert (settings.alpha, settings.first_order, settings.seed) == ("per_weight", False, 3)
    drawn = np.random.default_rng(3).uniform(0.005, 0.1)
    assert settings.alpha_init == pytest.approx(drawn, rel=1e-12)


def test_a_run_writes_its_curves(model_dir):
    found = scalars(model_dir, "train")
    names = ("loss", "mse", "meta_gradient_norm", "iterations_per_second")
    found = {key: value for key, value in found.items() if key[0].startswith("training/")}
    steps = (10, 20, 30, 40)
    assert set(found) == {(f"training/{name}", step) for name in names for step in steps}
    assert all(value > 0 for value in found.values())
    assert all(found["training/loss", step] == found["training/mse", step] for step in steps)


def test_validation_scores_the_learner_on_validation_tasks(model_dir):
    found = scalars(model_dir, "validation")
    assert set(found) == {
        (f"{name}/{when}", step)
        for name in ("loss", "mse")
        for when in ("before", "after")
        for step in (20, 40)
    }
    learner, family = learner_of(model_dir), Sinusoid(5, 5)
    losses = []
    for number in range(4):
        task = family.evaluation_episode(
            stream(3, "validation"),
            "validation",
            Protocol(5, 4, 1),
            tf.constant(number),
            tf.constant(0),
        )
        fast = learner.adapt(task.support_inputs, task.support_targets)
        errors = learner.predict(fast, task.query_inputs) - task.query_targets
        losses.append(np.mean(np.square(errors)))
    assert found["mse/after", 40] == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.slow
def test_the_function_goes_on_where_a_shorter_run_ended_as_the_command_did(
    model_dir, tmp_path, capsys
):
    run = tmp_path / "shorter"
    shutil.copytree(model_dir, run, ignore=shutil.ignore_patterns("ckpt-40*", "events*"))
    kept = (run / "flags.txt").read_text(encoding="utf-8")
    assert "--iterations=40" in kept
    kept = kept.replace("--iterations=40", "--iterations=20")
    (run / "flags.txt").write_text(kept, encoding="utf-8")
    capsys.readouterr()
    train_run(run_flags.parse([*SMALL, "--iterations=40"]), str(run))
    assert run_flags.read(str(run)).iterations == 40
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" [")[0] for line in lines if "/40" in line] == [
        f"shorter: {count}/40" for count in (30, 40)
    ]
    assert_same_checkpoints(run, model_dir)
    found, whole = scalars(run, "train"), scalars(model_dir, "train")
    for name in ("loss", "mse", "meta_gradient_norm"):
        for step in (30, 40):
            assert found[f"training/{name}", step] == whole[f"training/{name}", step]


def test_a_finished_run_stays_as_it_is(model_dir):
    before = checkpoint_values(model_dir)
    trainer = train_run(run_flags.parse([*SMALL, "--iterations=40"]), str(model_dir))
    assert int(trainer.iteration.numpy()) == 40
    for name, value in checkpoint_values(model_dir).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("flag", ["--alpha=scalar", "--algorithm=maml", "--meta_learning_rate=9"])
def test_going_on_with_other_flags_than_the_runs_is_refused(model_dir, flag):
    """Else α would start anew, the learning rate stay as it was, and the kept flags be wrong."""
    kept = (model_dir / "flags.txt").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=flag[2:].partition("=")[0]):
        train_run(run_flags.parse([*SMALL, "--iterations=40", flag]), str(model_dir))
    assert (model_dir / "flags.txt").read_text(encoding="utf-8") == kept


def test_evaluate_prints_a_table(evaluated):
    printed, report, _ = evaluated
    title, head, *rows = printed.splitlines()
    assert title == "sinusoid, meta_sgd, iteration 40"
    assert " ".join(head.split()) == "metric shots inner steps mean ± 95 % CI tasks repeats"
    assert len(rows) == 6
    for text, row in zip(rows, report["results"], strict=True):
        assert text.split() == [
            "mse",
            str(row["shots"]),
            str(row["inner_steps"]),
            f"{row['mean']:.4f}",
            "±",
            f"{row['ci95']:.4f}",
            "6",
            "100",
        ]


def test_evaluation_json_says_what_was_evaluated(evaluated):
    _, report, _ = evaluated
    expected = {
        "task": "sinusoid",
        "trained_on": "sinusoid",
        "cross_domain": False,
        "algorithm": "meta_sgd",
        "alpha": "per_weight",
        "batch_norm": None,
        "checkpoint": "last",
        "iteration": 40,
        "eval_seed": 2,
    }
    assert {name: report[name] for name in expected} == expected
    results = report["results"]
    assert all(tuple(row) == COLUMNS for row in results)
    described = [
        (row["metric"], row["shots"], row["inner_steps"], row["num_tasks"], row["repeats"])
        for row in results
    ]
    assert described == [("mse", shots, step, 6, 100) for shots in (5, 10, 20) for step in (0, 1)]


def test_means_and_intervals_are_those_of_the_csv(evaluated):
    _, report, rows = evaluated
    assert list(rows[0]) == ["task", "shots", "inner_steps", "mse"]
    assert len(rows) == 3 * 6 * 2
    for result in report["results"]:
        own = {
            int(row["task"]): float(row["mse"])
            for row in rows
            if (int(row["shots"]), int(row["inner_steps"]))
            == (result["shots"], result["inner_steps"])
        }
        assert sorted(own) == list(range(6))
        values = np.array(list(own.values()))
        assert result["mean"] == pytest.approx(values.mean(), rel=1e-5)
        deviation = np.sqrt(((values - values.mean()) ** 2).sum() / 5)
        assert result["ci95"] == pytest.approx(1.96 * deviation / np.sqrt(6), rel=1e-4)


def test_a_score_of_the_csv_is_the_mean_over_support_sets(model_dir, evaluated):
    learner, family = learner_of(model_dir), Sinusoid(5, 5)
    scores = []
    for repeat in range(100):
        task = family.evaluation_episode(
            stream(2, "test"), "test", Protocol(5, 6, 100), tf.constant(4), tf.constant(repeat)
        )
        fast = learner.adapt(task.support_inputs, task.support_targets)
        errors = learner.predict(fast, task.query_inputs) - task.query_targets
        scores.append(np.mean(np.square(errors)))
    (row,) = [
        row
        for row in evaluated[2]
        if (row["task"], row["shots"], row["inner_steps"]) == ("4", "5", "1")
    ]
    assert float(row["mse"]) == pytest.approx(np.mean(scores), rel=1e-4)


def test_inner_steps_are_rows_from_zero(model_dir, one_support_set):
    report, per_task = evaluate_run(str(model_dir), num_tasks=2, inner_steps=3)
    assert [(row["shots"], row["inner_steps"]) for row in report["results"]] == [
        (shots, step) for shots in (5, 20) for step in range(4)
    ]
    assert per_task[20]["mse"].shape == (2, 4)
    assert "cross-domain" not in table(report)


def test_a_fixed_frequency_is_another_domain(model_dir, one_support_set):
    report, _ = evaluate_run(
        str(model_dir), num_tasks=2, inner_steps=0, other_task={"fixed_frequency": True}
    )
    assert report["cross_domain"] is True
    assert (report["task"], report["trained_on"]) == ("sinusoid, fixed frequency", "sinusoid")
    title = table(report).splitlines()[0]
    assert title.startswith("sinusoid, fixed frequency, cross-domain: trained on sinusoid, meta_")
    assert json.loads((model_dir / "evaluation_cross_domain.json").read_text()) == report
    assert json.loads((model_dir / "evaluation.json").read_text())["cross_domain"] is False
    assert run_flags.read(str(model_dir)).fixed_frequency is False


def test_tasks_of_another_shape_are_refused(model_dir, monkeypatch):
    monkeypatch.setattr(
        omniglot, "load_drawings", lambda data_dir: np.zeros([1623, 20, 28, 28, 1], np.uint8)
    )
    with pytest.raises(InputError, match="task=omniglot: its network differs in shape.*model_dir="):
        evaluate_run(str(model_dir), other_task={"task": "omniglot"})
    with pytest.raises(flags.Error, match="ways=7: is for .*, and task=sinusoid has no use for it"):
        evaluate_run(str(model_dir), other_task={"ways": 7})


@pytest.mark.slow
def test_omniglot_is_trained_and_evaluated(tmp_path, monkeypatch, omniglot_dir, omniglot_drawings):
    done = command(
        "train",
        f"--flagfile={ROOT / 'configs' / 'omniglot_5way1shot_meta_sgd.flags'}",
        f"--model_dir={tmp_path}",
        f"--data_dir={omniglot_dir}",
        "--meta_batch_size=2",
        "--iterations=2",
        "--validation_tasks=2",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r": 2/2 .*loss [\d.]+, accuracy [\d.]+$", done.stderr.splitlines()[-1])
    found = scalars(tmp_path, "validation")
    assert ("loss/after", 2) in found and 0 <= found["accuracy/after", 2] <= 1
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: omniglot_drawings)
    report, per_task = evaluate_run(str(tmp_path), num_tasks=4)
    assert report["batch_norm"] == "transductive"
    assert [(row["metric"], row["shots"], row["num_tasks"]) for row in report["results"]] == [
        ("accuracy", 1, 4)
    ] * 2
    accuracy = per_task[1]["accuracy"]
    assert accuracy.shape == (4, 2)
    # 7 queries of each of 5 classes, and even two iterations learn more than nothing.
    np.testing.assert_allclose(accuracy * 35, np.rint(accuracy * 35), atol=1e-3)
    assert accuracy[:, 1].mean() > 0.3
