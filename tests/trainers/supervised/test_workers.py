"""Processes that train together on this machine do what one process does alone."""

import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.scaling.processes import tf_configs
from tests.trainers.supervised import worker

pytestmark = pytest.mark.slow

LIMIT = 300
"""Seconds after which workers are taken to wait for each other for ever."""

WORK = "import sys; from tests.trainers.supervised import worker; worker.main(*sys.argv[1:])"


def start(config, output, stops):
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(output), stops],
        env=os.environ | {"TF_CONFIG": config},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_workers_train_what_one_process_trains_and_stop_together(tmp_path):
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    # One of them wants to stop after its first call of the second training.
    wishes = ("goes_on", "stops")
    workers = [start(*given) for given in zip(tf_configs(2), outputs, wishes, strict=True)]
    try:
        said = [each.communicate(timeout=LIMIT)[1] for each in workers]
    finally:
        for each in workers:
            each.kill()
    assert [each.returncode for each in workers] == [0, 0], said
    first, second = (np.load(output) for output in outputs)
    reached = int(first["iteration"])
    # A call makes at most ten times as many iterations as the one before.
    assert 12 < reached <= 12 + 10 * 10
    alone = worker.trained(lambda: False, last=reached)
    for name, value in alone.items():
        here, there = (found[name] for found in (first, second))
        np.testing.assert_array_equal(here, there)
        np.testing.assert_allclose(here, value, rtol=1e-3, atol=1e-4)
