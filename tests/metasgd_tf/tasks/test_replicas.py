"""Convolutions and navigation end alike on one process, two devices, and several processes."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.scaling.processes import tf_configs
from tests.metasgd_tf.shell import LIMIT, read, start
from tests.metasgd_tf.tasks import replica

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone():
    return replica.trained()


def assert_same_end(found, alone):
    assert sorted(found) == sorted(alone)
    for name, value in alone.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_what_is_compared_has_been_trained(alone):
    kinds = {name.rpartition("_")[0] for name in alone}
    parts = ("theta", "alpha", "optimizer")
    assert kinds == {f"{task}_{part}" for task in ("omniglot", "navigation") for part in parts} | {
        "omniglot_moving"
    }
    assert alone["omniglot_optimizer_0"] == alone["navigation_optimizer_0"] == replica.ITERATIONS


def test_two_devices_of_a_process_end_as_one_does(alone):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        found = replica.trained()
    assert_same_end(found, alone)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_end_as_one_does(tmp_path, alone, count):
    folders = [tmp_path / f"{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
    processes = [
        start(folder, "tests.metasgd_tf.tasks.replica", str(folder / "end.npz"), TF_CONFIG=config)
        for folder, config in zip(folders, tf_configs(count), strict=True)
    ]
    try:
        for process in processes:
            process.join(LIMIT)
    finally:
        for process in processes:
            process.kill()
            process.join()
    codes = [process.exitcode for process in processes]
    assert codes == [0] * count, [read(folder, "stderr") for folder in folders]
    for folder in folders:
        assert_same_end(np.load(folder / "end.npz"), alone)
