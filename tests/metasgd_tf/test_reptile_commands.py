"""Reptile through every command."""

import json

import numpy as np
import pytest

from tests.metasgd_tf.shell import assert_refused, command, events
from tests.serving_exports import Loaded, drawings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory, grey_images):
    path = tmp_path_factory.mktemp("runs") / "reptile"
    done = command(
        "train",
        *grey_images,
        "--algorithm=reptile",
        "--model=tests.fast_network:network",
        "--ways=3",
        "--shots=1",
        "--queries=4",
        "--inner_batch=6",
        "--optimizer=sgd",
        "--momentum=0",
        "--meta_learning_rate=1",
        "--decay=linear",
        "--iterations=4",
        "--checkpoint_interval=2",
        "--validation_tasks=3",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    return path


def test_its_flags_are_kept_and_its_curves_written(run):
    flags = (run / "flags.txt").read_text().splitlines()
    kept = {"--inner_optimizer=adam", "--inner_rate=0.001", "--inner_steps=5", "--momentum=0.0"}
    assert kept <= set(flags)
    tags = {tag for tag, _ in events(run / "train") | events(run / "validation")}
    assert {"training/loss", "accuracy/before", "accuracy/after", "task"} <= tags
    assert not [tag for tag in tags if "alpha" in tag or "cosine" in tag]


def test_it_is_evaluated_after_as_many_steps_as_are_asked_for(run):
    asked = f"--model_dir={run}", "--num_tasks=4"
    done = command("evaluate", *asked, "--inner_steps=50")
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation.json").read_text())
    assert [row["inner_steps"] for row in report["results"]] == list(range(51))
    assert report["batch_norm"] == "transductive"


def test_figures_are_drawn(run, tmp_path):
    output = tmp_path / "figure.png"
    done = command("plot", "--figure=curves", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr
    done = command("plot", "--figure=alpha", f"--model_dirs={run}", f"--output={output}")
    assert "its learner has no α" in assert_refused(done)


def test_its_export_answers_in_one_request_and_in_two(run, tmp_path):
    done = command("export", f"--model_dir={run}", f"--export_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    loaded = Loaded(tmp_path / "1")
    for shots in (1, 4):  # Fewer than a minibatch, and more.
        support = {
            "support_inputs": drawings(0, 2, 3 * shots),
            "support_targets": np.tile(np.arange(3, dtype=np.int32), (2, shots)),
        }
        queries = {"query_inputs": drawings(1, 2, 4)}
        at_once = loaded("serving_default", **support, **queries)
        state = loaded("adapt", **support)["state"]
        in_two = loaded("predict", state=state, **queries)
        np.testing.assert_allclose(at_once["probabilities"].sum(-1), 1, rtol=1e-5)
        for name, value in at_once.items():
            np.testing.assert_allclose(in_two[name], value, atol=1e-5)
