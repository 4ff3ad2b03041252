"""What a training is made of, by its flags: the outer optimizer, and the trace of `--profile`."""

import keras
import numpy as np
import pytest

from metasgd_tf.flags import run_flags
from metasgd_tf.runs import training
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import SMALL, checkpoint_values
from trainers.errors import InputError


@pytest.fixture
def untrained(monkeypatch):
    """Lets runs be made and not trained."""
    monkeypatch.setattr(training, "_train_to_the_end", lambda *_: None)


def test_the_outer_optimizer_is_what_the_flags_say(tmp_path, untrained):
    flags_given = [*SMALL, "--clip_norm=0.5", "--meta_learning_rate=0.25"]
    optimizer = train_run(run_flags.parse(flags_given), str(tmp_path)).optimizer
    assert isinstance(optimizer, keras.optimizers.Adam) and optimizer.global_clipnorm == 0.5
    assert float(optimizer.learning_rate) == 0.25


def test_sgd_with_momentum_is_the_other_optimizer(tmp_path, untrained):
    flags_given = [*SMALL, "--optimizer=sgd", "--clip_norm=0.5"]
    optimizer = train_run(run_flags.parse(flags_given), str(tmp_path)).optimizer
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer.momentum == 0.9
    assert optimizer.global_clipnorm == 0.5


def test_a_cosine_takes_the_learning_rate_to_0_at_the_last_iteration(tmp_path):
    cosine = [*SMALL, "--meta_learning_rate=0.5", "--decay=cosine"]
    trainer = train_run(run_flags.parse([*cosine, "--iterations=20"]), str(tmp_path))
    rate = trainer.optimizer.learning_rate
    assert float(rate) == pytest.approx(0, abs=1e-7)
    trainer.optimizer.iterations.assign(5)
    assert float(trainer.optimizer.learning_rate) == pytest.approx(0.25 * (1 + np.cos(np.pi / 4)))
    with pytest.raises(InputError, match="--iterations=30 instead of 20"):
        train_run(run_flags.parse([*cosine, "--iterations=30"]), str(tmp_path))


def test_a_profile_is_a_trace_and_changes_nothing_else(tmp_path):
    settings = [*SMALL, "--iterations=6", "--checkpoint_interval=2", "--summary_interval=1"]
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
