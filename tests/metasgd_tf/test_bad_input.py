"""What the commands answer to a bad request: one sentence, and an exit code that is not 0."""

import os
import re

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks import omniglot
from tests.metasgd_tf.shell import QUICK, ROOT, SMALL, assert_refused, checkpoint_values, command
from trainers.errors import DivergedError, InputError

BEST_SCORE = "best_score/.ATTRIBUTES/VARIABLE_VALUE"
NO_NETWORK = {name: "http://127.0.0.1:9" for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")}


@pytest.fixture(scope="module")
def no_tensorflow(tmp_path_factory):
    """A directory for PYTHONPATH with which TensorFlow, slow to import, cannot be."""
    path = tmp_path_factory.mktemp("no_tensorflow")
    (path / "tensorflow.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("train", ["--model_dir=x", "--task=chess"], "--task=chess.*omniglot.*sinusoid"),
        ("train", ["--model_dir=x", "--task=chess:"], "--task=chess:.*or package.module:function"),
        ("train", ["--model_dir=x", "--task=my.chess"], "--task=my.chess.*package.module:function"),
        ("train", ["--model_dir=x", "--algorithm=adam"], "--algorithm=adam.*meta_sgd.*maml"),
        ("train", ["--model_dir=x", "--flagfile=no.flags"], "no.flags"),
        ("train", ["--model_dir=x", "--ways=1"], "--ways=1.*is not integer >= 2"),
        ("train", ["--model_dir=x", "--shots=-1"], "--shots=-1.*positive"),
        ("train", ["--model_dir=x", "--queries=0"], "--queries=0.*positive"),
        ("train", ["--model_dir=x", "--iterations=0"], "--iterations=0.*positive"),
        ("train", ["--model_dir=x", "--inner_steps=0"], "--inner_steps=0.*positive"),
        ("train", ["--model_dir=x", "--meta_batch_size=-4"], "--meta_batch_size=-4.*positive"),
        ("train", ["--model_dir=x", "--shots=many"], "--shots=many"),
        ("train", ["--model_dir=x", "--reward=gold"], "--reward=gold.*distance.*squared_distance"),
        ("train", ["--model_dir=x", "--horizon=0"], "--horizon=0.*positive"),
        ("train", ["--model_dir=x", "--trajectories=0"], "--trajectories=0.*positive"),
        ("train", ["--model_dir=x", "--inner_discount=1.5"], "--inner_discount=1.5"),
        ("train", ["--model_dir=x", "--trust_region=0"], "--trust_region=0.*positive"),
        ("train", ["--model_dir=x", "--distribution=all"], "--distribution=all.*mirrored.*multi_w"),
        ("train", ["--model_dir=x", "--precision=half"], "--precision=half.*mixed_bfloat16"),
        ("train", ["--model_dir=x", "sinusoid"], "sinusoid"),
        ("train", ["--model_dir=x", "--iteration=5"], "iteration.*iterations"),
        ("train", [], "model_dir"),
        ("train", ["--model_dir=", "--iterations=1"], "model_dir"),
        ("evaluate", [], "model_dir"),
        ("evaluate", ["--model_dir=x", "--start=anywhere"], "--start=anywhere.*fixed.*varying"),
        ("evaluate", ["--model_dir=x", "--num_tasks=1"], "--num_tasks=1"),
        ("evaluate", ["--model_dir=x", "--inner_steps=-1"], "--inner_steps=-1"),
        ("evaluate", ["--model_dir=x", "--split_seed=1"], "split_seed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_flags_are_refused_in_one_sentence(
    tmp_path, monkeypatch, no_tensorflow, name, arguments, named
):
    monkeypatch.chdir(tmp_path)
    done = command(name, *arguments, PYTHONPATH=os.pathsep.join([no_tensorflow, str(ROOT)]))
    assert re.search(named, assert_refused(done))
    assert len(done.stderr.splitlines()) == 1 and not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_misspelt_flag_in_a_flagfile_is_named(tmp_path):
    flagfile = tmp_path / "some.flags"
    flagfile.write_text("# A comment.\n--task=sinusoid\n--itertions=5\n", encoding="utf-8")
    done = command("train", f"--flagfile={flagfile}", f"--model_dir={tmp_path / 'run'}")
    assert re.search("itertions.*iterations", assert_refused(done))
    assert len(done.stderr.splitlines()) == 1


def test_without_data_and_network_a_person_is_told_what_to_do(tmp_path):
    done = command(
        "train",
        "--task=omniglot",
        f"--model_dir={tmp_path / 'run'}",
        f"--data_dir={tmp_path / 'data'}",
        **NO_NETWORK,
        **{name.lower(): value for name, value in NO_NETWORK.items()},
    )
    sentence = assert_refused(done)
    assert "--data_dir" in sentence and str(tmp_path / "data") in sentence
    assert not (tmp_path / "run").exists()


def test_a_model_dir_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match=r"model_dir=.*cannot be made"):
        train_run(run_flags.parse(SMALL), str(path))
    assert path.read_text(encoding="utf-8") == "kept"


def test_a_loss_that_is_not_finite_ends_the_command(tmp_path):
    done = command("train", f"--model_dir={tmp_path}", *QUICK, "--alpha_init=1e30")
    sentence = assert_refused(done)
    assert re.search("meta-iteration 1 was not finite: .*loss is (inf|nan).*alpha_init", sentence)
    assert tf.train.latest_checkpoint(str(tmp_path / "checkpoints")) is None


def test_fewer_iterations_than_are_done_are_refused(tmp_path):
    train_run(run_flags.parse([*QUICK, "--iterations=2"]), str(tmp_path))
    kept = (tmp_path / "flags.txt").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"iterations=1: .* has done 2"):
        train_run(run_flags.parse([*QUICK, "--iterations=1"]), str(tmp_path))
    assert (tmp_path / "flags.txt").read_text(encoding="utf-8") == kept


@pytest.mark.slow
def test_training_that_diverges_keeps_the_checkpoints_before(tmp_path):
    arguments = [*QUICK, "--meta_learning_rate=1e30", "--checkpoint_interval=1", "--iterations=5"]
    with pytest.raises(DivergedError, match="meta-iteration 2 was not finite"):
        train_run(run_flags.parse(arguments), str(tmp_path))
    assert {path.name for path in (tmp_path / "checkpoints").glob("*.index")} == {"ckpt-1.index"}
    reached = checkpoint_values(tmp_path)
    assert all(np.all(np.isfinite(reached[name])) for name in reached if name != BEST_SCORE)
    assert np.isnan(reached[BEST_SCORE])  # That learner's validation loss was not finite.


def test_a_directory_without_a_checkpoint_is_refused(tmp_path):
    run_flags.write(run_flags.resolve(run_flags.parse(SMALL)), str(tmp_path))
    with pytest.raises(InputError, match=f"model_dir={tmp_path}: holds no checkpoint"):
        evaluate_run(str(tmp_path))


def test_evaluating_an_empty_directory_is_refused(tmp_path):
    done = command("evaluate", f"--model_dir={tmp_path}")
    sentence = assert_refused(done)
    assert str(tmp_path) in sentence and sentence.count("rror:") == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--ways=424"], "ways=424: the validation split has 423 classes"),
        (["--shots=15", "--queries=6"], "shots=15 and queries=6: .*20 images"),
    ],
)
def test_tasks_larger_than_omniglot_are_refused(tmp_path, monkeypatch, arguments, named):
    monkeypatch.setattr(
        omniglot, "load_drawings", lambda data_dir: np.zeros([1623, 20, 28, 28, 1], np.uint8)
    )
    with pytest.raises(InputError, match=named):
        train_run(run_flags.parse(["--task=omniglot", *arguments]), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
