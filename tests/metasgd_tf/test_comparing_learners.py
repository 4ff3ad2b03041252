"""Matching, Prototypical and Siamese Nets through every command."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.metasgd_tf.shell import assert_refused, command, events
from tests.serving_exports import Loaded, drawings

ALGORITHMS = {
    "matching_nets": ["--full_context_embeddings"],
    "prototypical_nets": [],
    "siamese_nets": [],
}


@pytest.fixture(
    scope="module",
    params=[
        "prototypical_nets",
        pytest.param("matching_nets", marks=pytest.mark.slow),
        pytest.param("siamese_nets", marks=pytest.mark.slow),
    ],
)
def run(request, tmp_path_factory, grey_images):
    path = tmp_path_factory.mktemp("runs") / request.param
    done = command(
        "train",
        *grey_images,
        f"--algorithm={request.param}",
        *ALGORITHMS[request.param],
        "--model=tests.fast_network:network",
        "--ways=3",
        "--train_ways=6",
        "--shots=2",
        "--iterations=4",
        "--checkpoint_interval=2",
        "--validation_tasks=3",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    return path


def test_nothing_of_alpha_is_kept_or_shown(run):
    flags = (run / "flags.txt").read_text()
    assert not re.search("alpha(?!bet)", flags) and f"--algorithm={run.name}" in flags
    tags = {tag for tag, _ in events(run / "train") | events(run / "validation")}
    assert {"training/loss", "accuracy/after", "task"} <= tags
    assert not [tag for tag in tags if "alpha" in tag or "cosine" in tag]


def test_it_is_evaluated_after_the_support_set_only(run):
    done = command("evaluate", f"--model_dir={run}", "--num_tasks=4", "--ways=4")
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation.json").read_text())
    assert report["ways"] == 4  # Of classes that it was trained on 6 and 3 of.
    assert [row["inner_steps"] for row in report["results"]] == [1]
    assert report["batch_norm"] == "transductive"
    lines = (run / "evaluation.csv").read_text().splitlines()
    assert len(lines) == 1 + 4


def test_curves_are_drawn(run, tmp_path):
    output = tmp_path / "curves.png"
    done = command("plot", "--figure=curves", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr
    done = command("plot", "--figure=alpha", f"--model_dirs={run}", f"--output={output}")
    assert "its learner has no α" in assert_refused(done)


def test_its_export_answers_in_one_request_and_in_two(run, tmp_path):
    done = command("export", f"--model_dir={run}", f"--export_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    loaded = Loaded(tmp_path / "1")
    for shots in (1, 2):
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
    with pytest.raises(tf.errors.InvalidArgumentError, match="state: should be what adapt gave"):
        loaded("predict", state=state[:, :-1], **queries)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--task=sinusoid"],
            "algorithm=matching_nets: learns classification, and task=sinusoid ",
        ),
        (["--task=navigation"], "learns classification, and task=navigation is navigation"),
        (
            ["--task=examples.lines:lines"],
            "learns classification, and task=examples.lines:lines is regression",
        ),
        (
            ["--task=omniglot", "--alpha=fixed"],
            "alpha=fixed: algorithm=matching_nets has no use for it; should be left out",
        ),
        (["--task=omniglot", "--temperature=0"], "temperature=0.0: should be a positive number"),
    ],
)
def test_what_it_has_no_use_for_is_refused(arguments, sentence, tmp_path):
    done = command(
        "train", *arguments, "--algorithm=matching_nets", f"--model_dir={tmp_path / 'run'}"
    )
    assert sentence in assert_refused(done)
    assert not (tmp_path / "run").exists()


def test_more_classes_in_training_are_for_those_that_can_have_them(grey_images, tmp_path):
    for algorithm, reason in (
        ("reptile", "algorithm=reptile has no use for it"),
        ("maml_plus_plus", "the last layer has weights for each"),
        ("meta_sgd", "the last layer has weights for each"),
    ):
        arguments = (
            *grey_images,
            "--ways=3",
            "--shots=2",
            "--train_ways=6",
            f"--algorithm={algorithm}",
        )
        said = assert_refused(command("train", *arguments, f"--model_dir={tmp_path / 'run'}"))
        assert f"train_ways=6: {reason}" in said
