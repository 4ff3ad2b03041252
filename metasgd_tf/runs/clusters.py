"""How the workers of a training find each other: by `TF_CONFIG`, or by what Slurm tells its steps.

Both are TensorFlow's own ways, `tf.distribute.cluster_resolver`. What they would take and then wait
for without end, or refuse with a trace, is refused here in one sentence.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from trainers.errors import InputError

PORT_BASE = 10_000
PORTS = 20_000
"""Slurm's steps listen on ports from here, up to where systems begin to give ports to clients."""

JOBS = ("chief", "worker")
"""The kinds of task that train; the chief, if there is none of that name, is worker 0."""

_SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST")


def resolver(cluster: str) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Returns who the workers are, and which of them this one is.

    Args:
      cluster: `tf_config`, or `slurm`.

    Raises:
      InputError: if the environment does not say so, or says what cannot be.
    """
    if cluster == "slurm":
        return _of_slurm()
    _refuse_bad_tf_config(os.environ.get("TF_CONFIG", ""))
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def place(found: tf.distribute.cluster_resolver.ClusterResolver) -> tuple[int, int]:
    """Returns this worker's number, from 1, which is the chief's, and how many there are."""
    jobs = found.cluster_spec().as_dict()
    chiefs, workers = (len(jobs.get(job, ())) for job in JOBS)
    first = 1 if found.task_type == JOBS[0] else 1 + chiefs
    return first + found.task_id, chiefs + workers


def _refuse_bad_tf_config(text: str) -> None:
    example = (
        '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}, with '
        "the index of each worker"
    )
    if not text:
        raise InputError(
            "distribution=multi_worker: the environment has no TF_CONFIG; set it to "
            f"{example}, or pass cluster=slurm"
        )
    try:
        config = json.loads(text)
        jobs = {job: _addresses(hosts) for job, hosts in config["cluster"].items()}
        job, index = str(config["task"]["type"]), config["task"]["index"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"TF_CONFIG={text}: cannot be understood; should be {example}") from error
    for problem in _problems(jobs, job, index):
        raise InputError(f"TF_CONFIG={text}: {problem}")


def _addresses(hosts: Any) -> list[Any]:
    """Returns the addresses of one kind of tasks.

    Raises:
      TypeError: if they are no list of at least one.
    """
    if not isinstance(hosts, list) or not hosts:
        raise TypeError("should be a list of addresses")
    return hosts


def _problems(jobs: Mapping[str, list[Any]], job: Any, index: Any) -> Iterator[str]:
    """Yields what cannot be about a cluster and this task of it."""
    for other in sorted(jobs.keys() - set(JOBS)):
        yield f"names tasks of the kind {other!r}; should name those of {' and '.join(JOBS)} alone"
    if len(jobs.get(JOBS[0], ())) > 1:
        yield f"names {len(jobs[JOBS[0]])} chiefs; should name one, or workers alone"
    addresses = [address for hosts in jobs.values() for address in hosts]
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        numbered = port.isascii() and port.isdecimal()
        if not host or not numbered or not 0 < int(port) < 2**16:
            yield f"has the address {address!r}; should be HOST:PORT, the port from 1 to 65535"
    for address in addresses:
        if addresses.count(address) > 1:
            yield f"names {address!r} twice; each task should have an address of its own"
    if job not in jobs:
        yield f"says that this is a {job!r}; should be of a kind that the cluster has"
    elif not isinstance(index, int) or not 0 <= index < len(jobs[job]):
        yield (
            f"says that this is {job} {index!r}; should be from 0 to {len(jobs[job]) - 1}, as the "
            "cluster has them"
        )


class _InSlurmsOrder(tf.distribute.cluster_resolver.SlurmClusterResolver):
    """Numbers the hosts as Slurm does, and needs no GPUs.

    TensorFlow's sorts the hosts by name, node10 before node2, and divides by the number of GPUs.
    """

    def cluster_spec(self) -> tf.train.ClusterSpec:
        if self._gpus_per_task:
            super().cluster_spec()  # It tells CUDA this task's share of them.
        self.task_type, self.task_id = "worker", self._rank
        addresses = [
            f"{host}:{self._port_base + number}"
            for host, tasks in self._task_configuration.items()
            for number in range(tasks)
        ]
        return tf.train.ClusterSpec({"worker": addresses})


def _of_slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    missing = [name for name in _SLURM if not os.environ.get(name)]
    if missing:
        raise InputError(
            f"cluster=slurm: the environment has no {', '.join(missing)}; start the command by "
            "srun, or pass cluster=tf_config"
        )
    # Jobs that share a node should not meet.
    number = os.environ.get("SLURM_JOB_ID", "0")
    base = PORT_BASE + (int(number) if number.isdigit() else 0) % PORTS
    try:
        # TensorFlow counts them by this program.
        gpus = None if shutil.which("nvidia-smi") else 0
        found = _InSlurmsOrder(port_base=base, gpus_per_node=gpus)
        found.cluster_spec()
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"cluster=slurm: what Slurm's variables say cannot be ({error}); start the command by "
            "srun, with as many tasks on every node"
        ) from error
    return found
