"""Times a meta-iteration that processes on this machine share by TensorFlow's own strategy."""

import json
import os
import socket
import subprocess
import sys

from benchmarks.harness import cases

WORK = (
    "import sys; from benchmarks.scaling.processes import work; work(sys.argv[1], int(sys.argv[2]))"
)
LIMIT = 1800
"""Seconds after which processes are taken to wait for each other for ever."""


def ms_an_iteration(case: cases.Case, count: int, iterations: int) -> float:
    """Returns the milliseconds of a meta-iteration of all tasks together.

    Args:
      case: a classification case, whose tasks they share.
      count: how many processes.
      iterations: how many to time; as many go before.

    Raises:
      RuntimeError: if a process fails.
    """
    command = [sys.executable, "-c", WORK, case.name, str(iterations)]
    environments = [{"TF_CONFIG": config} for config in tf_configs(count)] if count > 1 else [{}]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for variables in environments
    ]
    try:
        outputs = [each.communicate(timeout=LIMIT) for each in started]
    finally:
        for each in started:
            each.kill()
    for each, (_, errors) in zip(started, outputs, strict=True):
        if each.returncode:
            raise RuntimeError(errors)
    return float(outputs[0][0].splitlines()[-1])


def tf_configs(count: int) -> list[str]:
    """Returns the `TF_CONFIG` of each worker of a cluster on ports that nobody listens on."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    return [
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on, all taken before the first is given back."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def work(name: str, iterations: int) -> None:
    """Trains with the processes that `TF_CONFIG` names, or alone, and prints the milliseconds."""
    import contextlib
    import time

    from metasgd_tf.process_environment import prepare_process

    prepare_process()
    import tensorflow as tf

    from benchmarks.systems import metasgd_tf
    from trainers.devices import use_cores_for_tasks
    from trainers.supervised.meta_trainer import MetaTrainer

    use_cores_for_tasks()
    case = cases.CASES[name]
    scope: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if "TF_CONFIG" in os.environ:
        scope = tf.distribute.MultiWorkerMirroredStrategy().scope()
    with scope:
        family = metasgd_tf.family_of(case)
        learner = metasgd_tf.learner_of(case, family)
        trainer = MetaTrainer(learner, family.sampler("train"), meta_batch_size=case.tasks)
    trainer.train(iterations)
    begin = time.perf_counter()
    trainer.train(iterations)
    print(1e3 * (time.perf_counter() - begin) / iterations)
