"""A run that ends before its time, for whatever reason, goes on as if it had not."""

import contextlib
import os
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from tests import synthetic_folder
from tests.metasgd_tf.shell import (
    LIMIT,
    QUICK,
    assert_refused,
    checkpoint_values,
    command,
    read,
    start,
)
from trainers.errors import InputError

# Uncompiled: that programs which XLA compiles go on alike is shown in `test_commands`.
# Many checkpoints, so that some kills come in the middle of one.
SINUSOID = [*QUICK, "--iterations=24", "--checkpoint_interval=4", "--summary_interval=2"]
FOLDER = [
    "--task=image_folder",
    "--model=tests.fast_network:network",
    "--algorithm=maml",
    "--image_size=16",
    "--ways=2",
    "--shots=1",
    "--queries=1",
    "--alpha_init=0.02",
    "--meta_batch_size=2",
    "--iterations=8",
    "--checkpoint_interval=2",
    "--summary_interval=1",
    "--validation_tasks=2",
]


@pytest.fixture(scope="module")
def image_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    synthetic_folder.write(folder, {f"class {n}": 3 for n in range(9)})
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never interrupted, with the checkpoints of 20 and of 24 iterations."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    train_run(run_flags.parse(SINUSOID), str(path))
    return path


@contextlib.contextmanager
def started(said, model_dir, *arguments):
    """Starts the training, and ends it if it is still there afterwards."""
    running = start(said, "train", f"--model_dir={model_dir}", *arguments)
    try:
        yield running
    finally:
        running.kill()
        running.join()


def wait_until(there, said, running):
    """Waits until `there()`, while the command is running."""
    deadline = time.monotonic() + LIMIT
    while not there():
        assert running.is_alive() or there(), read(said, "stderr")
        assert time.monotonic() < deadline
        time.sleep(0.01)


def notices(running, number):
    """Whether the process has a function of its own for a signal."""
    status = pathlib.Path(f"/proc/{running.pid}/status").read_text(encoding="ascii")
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def files(model_dir, pattern):
    return list(pathlib.Path(model_dir).glob(pattern))


def events_size(model_dir):
    """Bytes of the training's curves; some hundreds of iterations are kept back at a time."""
    return sum(path.stat().st_size for path in files(model_dir, "train/events*"))


def assert_same_run(one, other, *, scored=True):
    """Compares last checkpoints; a run that was stopped has not been scored when it is saved."""
    one, other = checkpoint_values(one), checkpoint_values(other)
    assert sorted(one) == sorted(other)
    for name in one if scored else [name for name in one if not name.startswith("best_score")]:
        value = one[name]
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def train_with_a_kill(model_dir, at, *arguments):
    """Trains a run that is killed once, when it has the checkpoint of an iteration."""
    said = model_dir.parent
    with started(said, model_dir, *arguments) as running:
        wait_until(lambda: files(model_dir, f"checkpoints/ckpt-{at}.index"), said, running)
    # On a busy machine it may have ended before it was killed, which makes it no different.
    assert running.exitcode in (-signal.SIGKILL, 0)
    done = command("train", f"--model_dir={model_dir}", *arguments)
    assert done.returncode == 0, done.stderr


def best(model_dir):
    (index,) = files(model_dir, "best/*.index")
    return index.name


@pytest.mark.slow
def test_a_killed_run_ends_as_one_never_interrupted(tmp_path, whole):
    train_with_a_kill(tmp_path / "killed", 8, *SINUSOID)
    assert_same_run(tmp_path / "killed", whole)
    assert best(tmp_path / "killed") == best(whole)


def test_deterministic_runs_are_equal_bit_by_bit_killed_or_not(tmp_path, image_dir):
    arguments = [*FOLDER, f"--image_dir={image_dir}", "--deterministic"]
    done = command("train", f"--model_dir={tmp_path / 'whole'}", *arguments)
    assert done.returncode == 0, done.stderr
    train_with_a_kill(tmp_path / "killed", 4, *arguments)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    assert best(tmp_path / "killed") == best(tmp_path / "whole")


@pytest.mark.parametrize(
    ("number", "compiled"), [(signal.SIGINT, False), (signal.SIGTERM, True)], ids=["int", "term"]
)
def test_a_signal_saves_and_leaves_with_one_line(tmp_path, number, compiled):
    seldom = [*QUICK, "--checkpoint_interval=100000000", "--summary_interval=100"]
    with started(tmp_path, tmp_path / "run", *seldom, "--iterations=100000000") as running:
        # A training's own function for it comes right before what compiles; Python has none.
        wait_until(lambda: notices(running, signal.SIGTERM), tmp_path, running)
        size = events_size(tmp_path / "run")
        if compiled:
            wait_until(lambda: events_size(tmp_path / "run") > size, tmp_path, running)
        os.kill(running.pid, number)
        running.join(LIMIT)
        assert running.exitcode == 128 + number
    (line,) = read(tmp_path, "stderr").splitlines()
    (index,) = (tmp_path / "run" / "checkpoints").glob("ckpt-*.index")
    done = int(index.stem.partition("-")[2])
    assert line == (
        f"stopped by {number.name} at iteration {done} of 100000000, saved in {tmp_path / 'run'}; "
        "the same command goes on from there"
    )
    if number == signal.SIGTERM:
        train_run(run_flags.parse([*seldom, f"--iterations={done}"]), str(tmp_path / "whole"))
        assert_same_run(tmp_path / "run", tmp_path / "whole", scored=False)


def test_a_second_training_in_the_same_directory_is_refused(tmp_path):
    with started(tmp_path, tmp_path, *QUICK, "--iterations=100000000") as running:
        wait_until(lambda: files(tmp_path, "train/events*"), tmp_path, running)
        kept = (tmp_path / "flags.txt").read_text(encoding="utf-8")
        with pytest.raises(InputError, match=f"model_dir={tmp_path}: another training is at work"):
            train_run(run_flags.parse([*QUICK, "--iterations=9"]), str(tmp_path))
        assert (tmp_path / "flags.txt").read_text(encoding="utf-8") == kept


@pytest.mark.slow
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before_and_is_named(
    whole, tmp_path, capsys, one_support_set
):
    shutil.copytree(whole, tmp_path / "hurt")
    index = tmp_path / "hurt" / "checkpoints" / "ckpt-24.index"
    index.write_bytes(index.read_bytes()[:70])
    capsys.readouterr()
    report, _ = evaluate_run(str(tmp_path / "hurt"), num_tasks=2)
    assert report["iteration"] == 20
    said = capsys.readouterr().err
    assert said == f"note: {index.with_suffix('')} is damaged; using an earlier checkpoint\n"
    done = command("train", f"--model_dir={tmp_path / 'hurt'}", *SINUSOID)
    assert done.returncode == 0
    first = done.stderr.splitlines()[0]
    assert first == f"note: {index.with_suffix('')} is damaged; going on from an earlier checkpoint"
    assert_same_run(tmp_path / "hurt", whole)


def test_without_a_whole_checkpoint_a_command_refuses(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    for index in (tmp_path / "run" / "checkpoints").glob("*.index"):
        index.write_bytes(b"")
    done = command("train", f"--model_dir={tmp_path / 'run'}", *SINUSOID)
    assert "all checkpoints in it are damaged" in assert_refused(done)


def test_a_best_checkpoint_that_was_kept_alone_is_not_replaced(whole, tmp_path):
    shutil.copytree(whole / "best", tmp_path / "kept" / "best")
    shutil.copy(whole / "flags.txt", tmp_path / "kept")
    (best,) = files(tmp_path, "kept/best/ckpt-*.index")
    number = int(best.stem.removeprefix("ckpt-"))
    assert number > 4
    alone = f"kept: has the best checkpoint of a run, of iteration {number}, and none"
    for arguments, reason in (
        (SINUSOID, alone),
        ([*SINUSOID, "--checkpoint_interval=24"], alone),
        ([*SINUSOID, "--seed=1"], "kept: holds a run with other flags"),
    ):
        with pytest.raises(InputError, match=reason):
            train_run(run_flags.parse(arguments), str(tmp_path / "kept"))
    assert best.exists()


def test_a_kill_between_the_best_and_the_last_checkpoint_is_gone_on_from(whole, tmp_path):
    train_run(run_flags.parse([*SINUSOID, "--iterations=4"]), str(tmp_path))
    shutil.rmtree(tmp_path / "checkpoints")
    assert files(tmp_path, "best/ckpt-4.index")
    train_run(run_flags.parse(SINUSOID), str(tmp_path))
    assert_same_run(tmp_path, whole)
