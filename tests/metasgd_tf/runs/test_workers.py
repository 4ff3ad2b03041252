"""Runs that several devices or processes share: the same as one alone makes, whatever happens."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import time

import numpy as np
import pytest

from benchmarks.scaling.processes import tf_configs
from metasgd_tf import tasks
from metasgd_tf.evaluation.trained_runs import LoadedRun, evaluate_run, refuse_unshared
from metasgd_tf.flags import run_flags
from metasgd_tf.runs import directory
from metasgd_tf.runs.training import train_run
from metasgd_tf.runs.workers import strategy_for
from metasgd_tf.tasks.omniglot import Omniglot
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

OFTEN = ["--checkpoint_interval=4", "--summary_interval=2"]
SINUSOID = [*QUICK, *OFTEN, "--ema_momentum=0.9"]
ENDLESS = "--iterations=100000000"
IMAGES = [
    "--task=image_folder",
    "--model=tests.fast_network:convolutional",
    "--algorithm=meta_sgd",
    "--image_size=16",
    "--image_channels=1",
    "--ways=2",
    "--shots=1",
    "--queries=1",
    "--meta_batch_size=2",
    "--iterations=5",
    "--checkpoint_interval=5",
    "--validation_tasks=2",
]


@contextlib.contextmanager
def started(said, model_dir, *arguments, of_second=(), count=2, name="train"):
    """Starts two workers, or more, and ends those that are still there afterwards."""
    workers = []
    try:
        for number, config in enumerate(tf_configs(count)):
            (said / str(number)).mkdir(parents=True)
            given = [*arguments, *(of_second if number else ())]
            workers.append(
                start(
                    said / str(number),
                    name,
                    f"--model_dir={model_dir}",
                    "--distribution=multi_worker",
                    *given,
                    TF_CONFIG=config,
                )
            )
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def ended(workers, said):
    """Waits until all have ended; returns their exit codes and what each said."""
    for worker in workers:
        worker.join(LIMIT)
    told = [read(said / str(number), "stderr") for number in range(len(workers))]
    assert all(worker.exitcode is not None for worker in workers), told
    return [worker.exitcode for worker in workers], told


def newest(model_dir):
    """Returns the iteration of the last checkpoint, 0 without one."""
    found = pathlib.Path(model_dir).glob("checkpoints/ckpt-*.index")
    return max((int(path.stem.partition("-")[2]) for path in found), default=0)


def wait_for_checkpoint(model_dir, after, workers, said):
    deadline = time.monotonic() + LIMIT
    while newest(model_dir) <= after:
        assert time.monotonic() < deadline and all(worker.is_alive() for worker in workers), [
            read(said / str(number), "stderr") for number in range(2)
        ]
        time.sleep(0.05)


def assert_same_end(one, other, **tolerance):
    one, other = checkpoint_values(one), checkpoint_values(other)
    assert sorted(one) == sorted(other)
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], err_msg=name, **tolerance)


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_and_stopped_ends_as_one_process_does(tmp_path):
    run, said = tmp_path / "run", tmp_path / "killed"
    with started(said, run, *SINUSOID, ENDLESS) as workers:
        wait_for_checkpoint(run, 0, workers, said)
        workers[1].kill()
        codes, told = ended(workers, said)
    assert codes == [1, -signal.SIGKILL]
    assert told[0].splitlines()[-1] == (
        "error: worker 1 of 2: another worker has ended or does not answer any more; start the "
        "same command on all workers to go on from the last checkpoint"
    )
    reached, said = newest(run), tmp_path / "stopped"
    with started(said, run, *SINUSOID, ENDLESS) as workers:
        wait_for_checkpoint(run, reached, workers, said)
        os.kill(workers[1].pid, signal.SIGTERM)
        codes, told = ended(workers, said)
    assert codes == [128 + signal.SIGTERM] * 2, told
    for number, text in enumerate(told, 1):
        assert text.splitlines()[-1] == (
            f"worker {number} of 2: stopped by SIGTERM at iteration {newest(run)} of 100000000, "
            f"saved in {run}; the same command goes on from there"
        )
    last, said = f"--iterations={newest(run) + 6}", tmp_path / "on"
    with started(said, run, *SINUSOID, last) as workers:
        codes, told = ended(workers, said)
    assert codes == [0, 0], told
    assert "meta-iterations done" in read(said / "0", "stdout")
    assert read(said / "1", "stdout").startswith("worker 2 of 2: training on CPU")
    assert "meta-iterations done" not in read(said / "1", "stdout")
    # Each training of the chief wrote one file of curves, and no other worker any.
    assert len(list(run.glob("train/events*"))) == 3
    train_run(run_flags.parse([*SINUSOID, last]), str(tmp_path / "alone"))
    assert_same_end(run, tmp_path / "alone", rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def image_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    synthetic_folder.write(folder, {f"class {number}": 3 for number in range(9)})
    return folder


@pytest.mark.slow
def test_two_workers_share_convolutions_and_batch_normalisation(tmp_path, image_dir):
    arguments = [*IMAGES, f"--image_dir={image_dir}"]
    with started(tmp_path, tmp_path / "run", *arguments) as workers:
        codes, told = ended(workers, tmp_path)
    assert codes == [0, 0], told
    train_run(run_flags.parse(arguments), str(tmp_path / "alone"))
    assert_same_end(tmp_path / "run", tmp_path / "alone", rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_200_iterations_end_alike_on_one_process_two_devices_and_two_and_four_processes(tmp_path):
    settings = [*SINUSOID, "--iterations=200", "--checkpoint_interval=200"]
    train_run(run_flags.parse(settings), str(tmp_path / "alone"))
    strategy = strategy_for("mirrored", "tf_config")
    assert strategy.num_replicas_in_sync == 2
    train_run(run_flags.parse(settings), str(tmp_path / "mirrored"), strategy=strategy)
    assert_same_end(tmp_path / "mirrored", tmp_path / "alone", rtol=1e-3, atol=1e-5)
    for count in (2, 4):
        said = tmp_path / f"said_{count}"
        with started(said, tmp_path / f"{count}", *settings, count=count) as workers:
            codes, told = ended(workers, said)
        assert codes == [0] * count, told
        assert_same_end(tmp_path / f"{count}", tmp_path / "alone", rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_workers_share_an_evaluation_and_find_what_one_finds(tmp_path):
    run, said, second = tmp_path / "run", tmp_path / "said", tmp_path / "second"
    train_run(run_flags.parse([*SINUSOID, "--iterations=4"]), str(run))
    expected = evaluate_run(str(run), num_tasks=5)
    report = run / "evaluation.json"
    report.unlink()
    with started(said, run, "--num_tasks=5", name="evaluate") as workers:
        codes, told = ended(workers, said)
    assert codes == [0, 0], told
    found = json.loads(report.read_text())["results"]
    assert [row["shots"] for row in found] == [row["shots"] for row in expected.report["results"]]
    for one, other in zip(found, expected.report["results"], strict=True):
        assert one["mean"] == pytest.approx(other["mean"], rel=1e-5)
        assert one["ci95"] == pytest.approx(other["ci95"], rel=1e-4)
    assert "95 % CI" in read(said / "0", "stdout") and read(said / "1", "stdout") == ""
    before = report.read_bytes()
    with started(second, run, of_second=["--eval_seed=1"], name="evaluate") as workers:
        codes, told = ended(workers, second)
    assert codes == [1, 1] and report.read_bytes() == before
    assert "the workers differ: --eval_seed is 1 on worker 2 and 0 on worker 1" in told[0], told


def test_navigation_cannot_be_shared_in_an_evaluation(tmp_path):
    settings = run_flags.parse(["--task=navigation"])
    run = LoadedRun(str(tmp_path), settings, "", tasks.from_flags(settings, ()), None, "last", None)
    with pytest.raises(InputError, match="^distribution=mirrored: the trajectories of task=navig"):
        refuse_unshared(run, "mirrored")


def test_workers_that_differ_are_refused_by_all_and_write_nothing(tmp_path):
    given = [*SINUSOID, "--iterations=4"]
    with started(tmp_path, tmp_path / "run", *given, of_second=["--seed=4"]) as workers:
        codes, told = ended(workers, tmp_path)
    assert codes == [1, 1]
    for number, text in enumerate(told, 1):
        assert text.splitlines()[-1] == (
            f"error: worker {number} of 2: the workers differ: --seed is 4 on worker 2 and 3 on "
            "worker 1; start the same command on all of them, with the same version and data"
        )
    assert not (tmp_path / "run").exists()


def test_what_the_chief_refuses_all_refuse(tmp_path):
    with (
        directory.claimed(str(tmp_path / "run")),
        started(tmp_path, tmp_path / "run", *SINUSOID) as workers,
    ):
        codes, told = ended(workers, tmp_path)
    assert codes == [1, 1]
    refused = f"model_dir={tmp_path / 'run'}: another training is at work in it"
    assert told[0].splitlines()[-1].startswith(f"error: worker 1 of 2: {refused}")
    assert (
        told[1]
        .splitlines()[-1]
        .startswith(f"error: worker 2 of 2: worker 1 of 2 refuses: {refused}")
    )


def test_a_port_that_another_program_has_is_refused(tmp_path):
    (config,) = tf_configs(1)
    (address,) = json.loads(config)["cluster"]["worker"]
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        given = "--distribution=multi_worker", f"--model_dir={tmp_path / 'run'}"
        done = command("train", *given, TF_CONFIG=config)
    assert assert_refused(done) == (
        f"error: worker 1 of 1: distribution=multi_worker: cannot listen at {address}; another "
        "program may have the port, so end that or name another port"
    )
    assert not (tmp_path / "run").exists()


def images_of(*, first=0, names=("a", "b", "c"), train=3):
    """Returns a family with some classes of images in training."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, [6, 4, 28, 28, 1], np.uint8)
    images[0, 0, 0, 0] = first
    return Omniglot({"train": images[:train], "validation": images[train:]}, 2, 1, 1)


def test_the_digest_of_data_tells_pixels_and_splits_apart():
    digest = images_of().data_digest()
    assert digest == images_of().data_digest()
    assert len({digest, images_of(first=1).data_digest(), images_of(train=4).data_digest()}) == 3
