"""MANN through every command, on images and on the sinusoid."""

import json
import re

import numpy as np
import pytest

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import assert_refused, command, events
from tests.metasgd_tf.tasks.two_inputs import Sums
from tests.serving_exports import Loaded, drawings
from trainers.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[[], ["--model=models.conv4:conv4_image_norm_64"]])
def run(request, tmp_path_factory, grey_images):
    path = tmp_path_factory.mktemp("runs") / "mann"
    done = command(
        "train",
        *grey_images,
        "--algorithm=mann",
        *request.param,
        "--ways=3",
        "--shots=1",
        "--queries=2",
        "--meta_batch_size=2",
        "--iterations=2",
        "--checkpoint_interval=2",
        "--validation_tasks=2",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    return path


def test_flags_and_curves_are_kept(run, tmp_path):
    flags = (run / "flags.txt").read_text()
    assert "--train_on=sequences" in flags and not re.search("alpha(?!bet)", flags)
    tags = {tag for tag, _ in events(run / "train") | events(run / "validation")}
    assert {"training/accuracy", "accuracy/before", "accuracy/after", "task"} <= tags
    output = tmp_path / "curves.png"
    done = command("plot", "--figure=curves", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr


def test_an_evaluation_has_queries_and_presentations(run):
    done = command(
        "evaluate",
        f"--model_dir={run}",
        "--num_tasks=3",
        "--presentations",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation.json").read_text())
    assert [row["inner_steps"] for row in report["results"]] == [0, 1]
    rows = report["presentations"]
    assert [row["presentation"] for row in rows] == list(range(1, 9))  # Each class has 8 images.
    assert all(row["num_tasks"] == 3 and 0 <= row["mean"] <= 1 for row in rows)
    assert "accuracy by presentation of a class in a sequence\n" in done.stdout
    assert f"{rows[-1]['mean']:.4f} ± {rows[-1]['ci95']:.4f}" in done.stdout.splitlines()[-1]


def test_its_export_answers_in_one_request_and_in_two(run, tmp_path):
    done = command("export", f"--model_dir={run}", f"--export_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    loaded = Loaded(tmp_path / "1")
    for shots in (1, 2):
        support = {
            "support_inputs": drawings(0, 2, 3 * shots),
            "support_targets": np.tile(np.arange(3, dtype=np.int32), (2, shots)),
        }
        # More queries than are answered at once.
        queries = {"query_inputs": drawings(1, 2, 160)}
        at_once = loaded("serving_default", **support, **queries)
        state = loaded("adapt", **support)["state"]
        in_two = loaded("predict", state=state, **queries)
        np.testing.assert_allclose(at_once["probabilities"].sum(-1), 1, rtol=1e-5)
        alone = loaded("predict", state=state, query_inputs=queries["query_inputs"][:, -1:])
        for name, value in at_once.items():
            np.testing.assert_allclose(in_two[name], value, atol=1e-5)
            np.testing.assert_allclose(alone[name][:, 0], value[:, -1], atol=1e-5)


def test_the_sinusoid_is_trained_and_evaluated(tmp_path, one_support_set):
    settings = [
        "--algorithm=mann",
        "--shots=4",
        "--queries=4",
        "--meta_batch_size=8",
        "--validation_tasks=3",
        "--summary_interval=5",
        "--checkpoint_interval=15",
    ]
    trainer = train_run(run_flags.parse([*settings, "--iterations=15"]), str(tmp_path))
    assert trainer.learner.train_on == "sequences"
    first = trainer.train(5)["loss"]
    trainer.train(40)
    assert trainer.train(5)["loss"] < first
    report, _ = evaluate_run(str(tmp_path), num_tasks=2)
    rows = [(row["shots"], row["inner_steps"]) for row in report["results"]]
    assert rows == [(shots, steps) for shots in (5, 20) for steps in (0, 1)]


def test_what_it_cannot_be_is_refused(tmp_path, grey_images):
    refused = (
        (
            [*grey_images, "--ways=3", "--shots=1", "--model=models.conv4:conv4_pooled_64"],
            "model='memory_network': its embedding has batch normalisation, dropout or another",
        ),
        (["--alpha=fixed"], "alpha=fixed: algorithm=mann has no use for it"),
        (["--task=navigation"], "learns classification and regression, and task=navigation is"),
    )
    for arguments, sentence in refused:
        done = command(
            "train", "--algorithm=mann", *arguments, f"--model_dir={tmp_path / 'refused'}"
        )
        assert sentence in assert_refused(done)
    settings = run_flags.resolve(run_flags.parse(["--algorithm=mann", "--task=a.b:c"]))
    with pytest.raises(InputError, match="its network takes one tensor, and task=a.b:c has inputs"):
        build_learner(Sums(), settings)
