"""Tasks that fit no habit, through the commands: see `uncertain_lines`."""

import json

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.trained_runs import load_run
from tests.metasgd_tf.shell import command, events
from trainers.errors import InputError
from trainers.families import Part
from trainers.seeds import stream


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "lines"
    done = command(
        "train",
        "--task=tests.metasgd_tf.tasks.uncertain_lines:family",
        "--shots=6",
        "--iterations=4",
        "--checkpoint_interval=2",
        "--validation_tasks=3",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    return path


def test_a_loss_that_is_the_score_is_evaluated_and_compared(run):
    done = command("evaluate", f"--model_dir={run}", f"--compare_with={run}", "--num_tasks=5")
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation.json").read_text())
    assert [row["metric"] for row in report["results"]] == ["loss", "loss"]
    assert [row["difference"] for row in report["comparison"]["differences"]] == [0]


def test_ways_are_refused_where_tasks_of_ones_own_have_no_classes(run):
    with pytest.raises(InputError, match="^ways=3: task=.*:family has no classes; leave it out$"):
        load_run(str(run), other_task={"ways": 3})


def test_its_learning_curve_is_drawn(run, tmp_path):
    output = tmp_path / "curves.png"
    done = command("plot", "--figure=curves", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr


def test_tasks_with_more_outputs_than_targets_are_drawn(run):
    shown = [step for tag, step in events(run / "validation") if tag == "task"]
    assert sorted(shown) == [2, 4]


def test_the_learned_direction_is_the_mean_over_support_sets_of_any_size(run):
    loaded = load_run(str(run))
    learner, family, part = loaded.learner, loaded.family, Part("test", stream(0, "test"))
    (protocol,) = family.protocols(8)
    found = family.direction(learner, protocol, part, 8)()
    cosines, sizes = [], set()
    for number in range(8):
        drawn = family.evaluation_episode(
            part.seed, "test", protocol, tf.constant(number), tf.constant(0)
        )
        sizes.add(len(drawn.support_inputs))
        slopes = learner.support_gradient(drawn.support_inputs, drawn.support_targets)
        update, slope = (
            np.concatenate([np.ravel(value) for value in values])
            for values in (
                [rate.numpy() * g for rate, g in zip(learner.alpha.rates, slopes, strict=True)],
                slopes,
            )
        )
        cosines.append(update @ slope / np.linalg.norm(update) / np.linalg.norm(slope))
    assert len(sizes) > 2
    assert found["all_layers"] == pytest.approx(np.mean(cosines), abs=1e-5)
