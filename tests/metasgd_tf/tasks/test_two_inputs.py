"""A task family with a dict of inputs and an LSTM by --model, through every command."""

import json

import numpy as np
import pytest

from metasgd_tf.evaluation.trained_runs import load_run
from tests.metasgd_tf.shell import command, events
from tests.serving_exports import Loaded
from trainers.seeds import stream

pytestmark = pytest.mark.slow

HERE = "tests.metasgd_tf.tasks.two_inputs"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "sums"
    done = command(
        "train",
        f"--task={HERE}:family",
        f"--model={HERE}:network",
        "--iterations=4",
        "--checkpoint_interval=2",
        "--validation_tasks=3",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return path


def test_it_is_evaluated_and_its_own_metric_comes_first(run):
    done = command("evaluate", f"--model_dir={run}", "--num_tasks=5")
    assert done.returncode == 0, done.stderr
    results = json.loads((run / "evaluation.json").read_text())["results"]
    assert [row["metric"] for row in results] == ["mae", "mae", "mse", "mse"]


def test_tensorboard_gets_an_image_of_a_task(run):
    shown = [
        step
        for (tag, step), value in events(run / "validation").items()
        if tag == "task" and value.tensor.string_val[2].startswith(b"\x89PNG")
    ]
    assert sorted(shown) == [2, 4]


@pytest.mark.parametrize("figure", ["curves", "alpha"])
def test_it_is_drawn(run, figure, tmp_path):
    output = tmp_path / "figure.png"
    done = command("plot", f"--figure={figure}", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr


@pytest.mark.slow
def test_its_export_answers_as_the_learner_does(run, tmp_path):
    done = command("export", f"--model_dir={run}", f"--export_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    loaded = load_run(str(run))
    learner, task = loaded.learner, loaded.family.episode(stream(9, "test"), "test")
    asked = {"support_targets": task.support_targets}
    for name in ("number", "tokens"):
        asked[f"support_inputs_{name}"] = task.support_inputs[name]
        asked[f"query_inputs_{name}"] = task.query_inputs[name]
    asked = {name: value.numpy()[np.newaxis] for name, value in asked.items()}
    given = Loaded(tmp_path / "1")("serving_default", **asked)
    weights = learner.adapt(*task[:2])
    expected = learner.predict(weights, task.query_inputs)
    np.testing.assert_allclose(given["predictions"][0], expected, atol=1e-5)
    facts = json.loads((tmp_path / "1" / "assets.extra" / "export.json").read_text())
    assert facts["input_shape"] == {"number": [1], "tokens": [3]}
