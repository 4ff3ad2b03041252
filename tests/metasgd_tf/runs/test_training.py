"""What a training is made of, by its flags: the outer optimizer, and the trace of `--profile`."""

import contextlib
import shutil
import signal

import keras
import numpy as np
import pytest

from metasgd_tf.flags import run_flags
from metasgd_tf.runs import training
from metasgd_tf.runs.outer_optimizer import outer_optimizer
from metasgd_tf.runs.stopping import Stopped
from metasgd_tf.runs.summaries import Summaries
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import QUICK, SMALL, checkpoint_values
from trainers.errors import InputError


@pytest.fixture
def untrained(monkeypatch):
    """Lets runs be made and not trained."""
    monkeypatch.setattr(training, "_train_to_the_end", lambda *_: None)


def test_the_outer_optimizer_is_what_the_flags_say(tmp_path, untrained):
    flags_given = [*QUICK, "--clip_norm=0.5", "--meta_learning_rate=0.25"]
    optimizer = train_run(run_flags.parse(flags_given), str(tmp_path)).optimizer
    assert isinstance(optimizer, keras.optimizers.Adam) and optimizer.global_clipnorm == 0.5
    assert float(optimizer.learning_rate) == 0.25


@pytest.mark.parametrize(
    ("flags_given", "said"),
    [
        ([], ""),
        (
            ["--task_batching=batched"],
            "note: iterations are run compiled, tasks as one batch\n",
        ),
        (["--task_batching=side_by_side"], "note: iterations are run uncompiled\n"),
    ],
)
def test_how_iterations_are_run_is_said_where_it_is_not_the_usual_way(
    tmp_path, untrained, capsys, flags_given, said
):
    train_run(run_flags.parse([*QUICK, *flags_given]), str(tmp_path))
    assert capsys.readouterr().err == said


def test_a_directory_that_is_removed_in_mid_run_gets_no_checkpoint(tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(Summaries, "flush", lambda _: shutil.rmtree(run))
    with pytest.raises(InputError, match=r"model_dir=.*run: was removed while the training ran"):
        train_run(run_flags.parse([*QUICK]), str(run))
    assert not (run / "checkpoints").exists()


def optimizer_of(*arguments):
    return outer_optimizer(run_flags.resolve(run_flags.parse([*SMALL, *arguments])))


def test_sgd_with_momentum_is_the_other_optimizer():
    optimizer = optimizer_of("--optimizer=sgd", "--clip_norm=0.5")
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer.momentum == 0.9
    assert optimizer.global_clipnorm == 0.5
    assert optimizer_of("--optimizer=sgd", "--momentum=0").momentum == 0


@pytest.mark.parametrize(
    ("decay", "quarter"), [("cosine", 0.25 * (1 + np.cos(np.pi / 4))), ("linear", 0.5 * 0.75)]
)
def test_the_learning_rate_falls_to_0_at_the_last_iteration(decay, quarter):
    falling = "--meta_learning_rate=0.5", f"--decay={decay}", "--iterations=20"
    optimizer = optimizer_of(*falling)
    for iteration, rate in ((0, 0.5), (5, quarter), (20, 0)):
        optimizer.iterations.assign(iteration)
        assert float(optimizer.learning_rate) == pytest.approx(rate, abs=1e-7)


def test_a_run_whose_learning_rate_has_fallen_cannot_be_made_longer(tmp_path):
    falling = [*QUICK, "--decay=linear"]
    train_run(run_flags.parse([*falling, "--iterations=2"]), str(tmp_path))
    with pytest.raises(InputError, match="--iterations=3 instead of 2"):
        train_run(run_flags.parse([*falling, "--iterations=3"]), str(tmp_path))


@pytest.mark.slow
def test_a_profile_is_a_trace_and_changes_nothing_else(tmp_path):
    settings = [*QUICK, "--iterations=6", "--checkpoint_interval=2", "--summary_interval=1"]
    for name in ("traced", "plain"):
        train_run(run_flags.parse(settings), str(tmp_path / name), profile=name == "traced")
    (trace,) = (tmp_path / "traced").glob("train/plugins/profile/*/*.xplane.pb")
    assert b"meta_iteration" in trace.read_bytes()
    assert not (tmp_path / "plain" / "train" / "plugins").exists()
    traced, plain = (checkpoint_values(tmp_path / name) for name in ("traced", "plain"))
    for name, value in traced.items():
        np.testing.assert_array_equal(value, plain[name], err_msg=name)
    # A trace of three iterations does not reach over a checkpoint.
    for name in ("traced", "plain"):
        kept = {path.stem for path in (tmp_path / name / "checkpoints").glob("*.index")}
        assert kept == {"ckpt-2", "ckpt-4", "ckpt-6"}


def test_a_signal_at_the_last_iteration_is_told_too(tmp_path, monkeypatch):
    """Whatever has called it, such as `reproduce`, would go on with the next training."""

    @contextlib.contextmanager
    def signalled():
        yield lambda: signal.SIGTERM

    monkeypatch.setattr(training, "noticing_signals", signalled)
    settings = run_flags.parse([*QUICK, "--iterations=1"])
    with pytest.raises(Stopped, match="stopped by SIGTERM at iteration 1 of 1, saved in"):
        train_run(settings, str(tmp_path))
    assert list((tmp_path / "checkpoints").glob("ckpt-1.index"))
