"""Processes that train together on this machine do what one process does alone."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.trainers.supervised import worker

pytestmark = pytest.mark.slow

LIMIT = 300
"""Seconds after which workers are taken to wait for each other for ever."""

WORK = "import sys; from tests.trainers.supervised import worker; worker.main(*sys.argv[1:])"


def free_ports(count):
    """Returns ports that nobody listens on, all taken before the first is given back."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def start(cluster, index, output, stops):
    task = {"type": "worker", "index": index}
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(output), stops],
        env=os.environ | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_workers_train_what_one_process_trains_and_stop_together(tmp_path):
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    # One of them wants to stop after its first call of the second training.
    workers = [
        start(cluster, index, output, stops)
        for index, (output, stops) in enumerate(zip(outputs, ("goes_on", "stops"), strict=True))
    ]
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
