"""One point, in a process of its own."""

import multiprocessing
import pathlib
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.harness.resident import kilobytes
from benchmarks.scaling_curves.points import QUERIES, SHOTS, Point
from metasgd_tf.process_environment import prepare_process

DRAWINGS = 20
"""Images of a class."""

MOST_GB = 8
MOST_SECONDS = 180
"""Seconds of computing that a point may take."""

ROUNDS = 3
ROUND_SECONDS = 0.5
MOST_ITERATIONS = 16
LOOK_SECONDS = 0.1
OUT_OF_TIME = -24
"""The exit code of a process that SIGXCPU ended."""


class Measured(NamedTuple):
    """What is told of a point.

    Attributes:
      tasks_a_second: of the time in which the process computes, which other programs do not change.
      peak_gb: of the process, in 10^9 bytes.
      before_gb: what the process holds before it has any image, nearly all of it TensorFlow.
    """

    tasks_a_second: float
    peak_gb: float
    before_gb: float


def measured(point: Point, images: pathlib.Path) -> Measured | str:
    """Measures a point in a new process; returns in words why it was ended, if it was.

    Args:
      point: the sizes.
      images: a file of the images of all classes, uint8.

    Raises:
      RuntimeError: if the process fails.
    """
    # A fork would not hold what of TensorFlow it does not use, and seem smaller than it is.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, point, images))
    process.start()
    theirs.close()
    while process.is_alive():
        if kilobytes("VmRSS", str(process.pid)) * 1024 > MOST_GB * 1e9:
            process.kill()
            process.join()
            return f"more than {MOST_GB} GB"
        process.join(LOOK_SECONDS)
    if process.exitcode == OUT_OF_TIME:
        return f"more than {MOST_SECONDS} s of computing"
    if process.exitcode:
        raise RuntimeError(f"{point} ended with exit code {process.exitcode}")
    return ours.recv()


def _work(connection: Connection, point: Point, images: pathlib.Path) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    prepare_process()
    import tensorflow as tf

    from metasgd_tf.images.images_by_class import empty
    from metasgd_tf.images.ink import SIDE
    from metasgd_tf.tasks.omniglot import Omniglot
    from models.conv4 import conv4
    from trainers.devices import use_cores_for_tasks
    from trainers.learners.meta_sgd import MetaLearner
    from trainers.supervised.meta_trainer import MetaTrainer

    use_cores_for_tasks()
    tf.constant(0).numpy()
    before = kilobytes("VmRSS")
    held = empty((point.classes, DRAWINGS, SIDE, SIDE, 1))
    with images.open("rb") as file:
        file.readinto(held.reshape(-1).data)
    family = Omniglot({"train": held}, point.ways, SHOTS, QUERIES)
    model = conv4(family.input_shape, point.ways, 0, filters=point.filters)
    learner = MetaLearner(model, family.loss, alpha_init=0.01, inner_steps=point.steps)
    trainer = MetaTrainer(learner, family.sampler("train"), meta_batch_size=point.tasks)
    speed = point.tasks / _seconds(trainer.train)
    peak = kilobytes("VmHWM")
    connection.send(Measured(speed, peak * 1024 / 1e9, before * 1024 / 1e9))


def _seconds(train: Callable[[int], object]) -> float:
    """Returns the seconds that this process computes for a meta-iteration.

    Args:
      train: a function that makes a number of these.
    """

    def of(iterations: int) -> float:
        begin = time.process_time()
        train(iterations)
        return (time.process_time() - begin) / iterations

    of(1)  # Traces and compiles.
    iterations = min(MOST_ITERATIONS, max(1, int(ROUND_SECONDS / of(1))))
    return statistics.median(of(iterations) for _ in range(ROUNDS))
