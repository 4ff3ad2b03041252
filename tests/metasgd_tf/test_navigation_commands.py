"""The commands on navigation: training, what TensorBoard gets of it, evaluation, and bad input."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.reports import table
from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import assert_refused, checkpoint_values, command, events, scalar
from trainers.errors import InputError

pytestmark = pytest.mark.slow

FLAGS = [
    "--task=navigation",
    "--meta_batch_size=8",
    "--iterations=2",
    "--summary_interval=1",
    "--checkpoint_interval=1",
    "--validation_tasks=10",
    "--trajectories=3",
    "--horizon=10",
    "--seed=3",
]
NAME = "navigation, fixed start, distance reward, horizon 10"
LAYERS = ("hidden_1", "hidden_2", "output", "log_std")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two iterations made by the command, and what it said."""
    path = tmp_path_factory.mktemp("runs") / "rollout"
    done = command("train", f"--model_dir={path}", *FLAGS)
    assert done.returncode == 0, done.stderr
    return path, done


@pytest.fixture(scope="module")
def evaluated(trained):
    """What the command printed and wrote of it."""
    path, _ = trained
    done = command("evaluate", f"--model_dir={path}", "--num_tasks=6")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, json.loads((path / "evaluation.json").read_text(encoding="utf-8"))


def test_training_says_how_far_it_is_and_nothing_else(trained):
    path, done = trained
    assert done.stdout.splitlines()[-1] == f"{path}: 2 meta-iterations done"
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    for count, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"rollout: {count}/2 \[.*\] return -\d+\.\d+", line)
    settings = run_flags.read(str(path))
    assert (settings.optimizer, settings.alpha) == ("trpo", "per_weight")


def test_tensorboard_gets_the_training(trained):
    found = events(trained[0] / "train")
    names = ("return_before", "return", "entropy", "divergence", "backtracks")
    names += ("meta_gradient_norm", "iterations_per_second")
    scalars = {f"training/{name}" for name in names}
    scalars |= {f"return/{when}" for when in ("before", "after")}
    scalars |= {f"direction_cosine/{layer}" for layer in ("all_layers", *LAYERS)}
    scalars |= {f"alpha_{what}/{n}" for what in ("mean", "negative_share") for n in LAYERS}
    histograms = {f"alpha/{layer}" for layer in LAYERS}
    assert set(found) == {(tag, step) for tag in scalars | histograms for step in (1, 2)}
    assert all(np.isfinite(scalar(found[tag, step])) for tag in scalars for step in (1, 2))
    for step in (1, 2):
        assert -10 * 1.8 < scalar(found["training/return", step]) < 0
        assert 0 <= scalar(found["training/divergence", step]) <= 0.01
        assert scalar(found["training/backtracks", step]) in range(17)
    *_, counts = tf.make_ndarray(found["alpha/log_std", 2].tensor).T
    assert counts.sum() == 2


def test_tensorboard_gets_the_validation_and_a_image_of_paths(trained):
    found = events(trained[0] / "validation")
    tags = ("return/before", "return/after", "task")
    assert set(found) == {(tag, step) for tag in tags for step in (1, 2)}
    scores = {step: scalar(found["return/after", step]) for step in (1, 2)}
    (best,) = (trained[0] / "best").glob("*.index")
    assert best.stem == f"ckpt-{max(scores, key=scores.__getitem__)}"
    width, height, png = found["task", 2].tensor.string_val
    image = tf.io.decode_png(png).numpy()
    assert image.shape == (int(height), int(width), 3) and image.std() > 10


@pytest.mark.slow
def test_going_on_after_an_interruption_equals_never_having_stopped(tmp_path, trained):
    path, _ = trained
    shutil.copytree(path, tmp_path / "rollout")
    for file in (tmp_path / "rollout" / "checkpoints").glob("ckpt-2.*"):
        file.unlink()
    trainer = train_run(run_flags.parse(FLAGS), str(tmp_path / "rollout"))
    assert int(trainer.iteration.numpy()) == 2
    one, other = checkpoint_values(path), checkpoint_values(tmp_path / "rollout")
    assert sorted(one) == sorted(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    assert sum("log_std" in name or "rates" in name for name in one) > 0


def test_evaluate_prints_the_return_before_and_after_each_of_three_updates(evaluated):
    printed, report = evaluated
    title, head, *rows = printed.splitlines()
    assert title == f"{NAME}, meta_sgd, iteration 2"
    assert " ".join(head.split()) == "metric shots inner steps mean ± 95 % CI tasks repeats"
    assert [row.split()[:3] for row in rows] == [["return", "3", str(step)] for step in range(4)]
    for text, row in zip(rows, report["results"], strict=True):
        cells = [f"{row['mean']:.4f}", "±", f"{row['ci95']:.4f}", "6", "1"]
        assert text.split()[3:] == cells
        assert -10 * 1.8 < row["mean"] < 0 < row["ci95"]


def test_evaluation_json_says_what_was_evaluated(evaluated):
    _, report = evaluated
    expected = {"task": NAME, "trained_on": NAME, "cross_domain": False, "iteration": 2}
    assert {name: report[name] for name in expected} == expected
    names = ("metric", "shots", "inner_steps", "num_tasks")
    described = [tuple(row[name] for name in names) for row in report["results"]]
    assert described == [("return", 3, step, 6) for step in range(4)]


def test_varying_starts_are_another_domain(trained):
    path, _ = trained
    report, per_task = evaluate_run(
        str(path), num_tasks=2, inner_steps=0, other_task={"start": "varying"}
    )
    assert report["cross_domain"] is True
    other = NAME.replace("fixed", "varying")
    assert (report["task"], report["trained_on"]) == (other, NAME)
    assert table(report).startswith(f"{other}, cross-domain: trained on {NAME}, meta_sgd")
    assert per_task[3]["return"].shape == (2, 1)
    assert run_flags.read(str(path)).start == "fixed"


@pytest.mark.slow
def test_more_trajectories_may_be_given_in_the_test_than_in_training(trained):
    path, _ = trained
    options = {"num_tasks": 2, "inner_steps": 1}
    report, per_task = evaluate_run(str(path), other_task={"trajectories": 5}, **options)
    assert [row["shots"] for row in report["results"]] == [5, 5]
    assert report["cross_domain"] is False and list(per_task) == [5]
    usual = evaluate_run(str(path), **options).per_task[3]["return"]
    # The mean over three rollouts is not that over five.
    assert np.all(per_task[5]["return"] != usual)


def test_a_policy_is_not_evaluated_on_tasks_of_another_shape(trained):
    path, _ = trained
    with pytest.raises(InputError, match="task=sinusoid: its network differs in shape"):
        evaluate_run(str(path), other_task={"task": "sinusoid"})


@pytest.mark.parametrize("flag", ["--task=sinusoid", "--horizon=20", "--surrogate=dice"])
def test_another_tasks_run_directory_is_refused(trained, flag):
    path, _ = trained
    kept = (path / "flags.txt").read_text(encoding="utf-8")
    # Tasks of another kind have no use for the flags of navigation.
    asked = run_flags.parse([flag] if "task" in flag else [*FLAGS, flag])
    with pytest.raises(InputError, match=f"{flag} instead of") as refused:
        train_run(asked, str(path))
    assert f"model_dir={path}" in str(refused.value)
    assert (path / "flags.txt").read_text(encoding="utf-8") == kept


def test_trust_regions_are_refused_for_supervised_tasks(tmp_path):
    done = command("train", f"--model_dir={tmp_path / 'run'}", "--optimizer=trpo", "--iterations=1")
    assert assert_refused(done) == (
        "error: optimizer=trpo: is for --task=navigation, not sinusoid; should be adam or sgd"
    )
    assert not (tmp_path / "run").exists()
