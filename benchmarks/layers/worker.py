"""A process that tries layers of the table, so that what hangs can be ended."""

import logging
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

from metasgd_tf.process_environment import prepare_process

CHECK = "meta-gradient"
RIGHT, WRONG, TRAINED, SLOW = "right", "wrong", "trained", "too slow"
CRASHED = "the process ended"


def _work(connection: Connection) -> None:
    """Answers requests (name of a layer, what to try) with what came of it."""
    prepare_process()
    # Whether it compiles is asked here, not how fast the result is.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    # What is warned of is the same for all: their tasks are all one.
    logging.getLogger("trainers").setLevel(logging.ERROR)
    connection.send(None)
    while True:
        try:
            name, what = connection.recv()
        except EOFError:
            return  # Whoever asked has ended.
        try:
            connection.send(_checked(name) if what == CHECK else _trained(name, what))
        except Exception as error:
            # Whatever Keras and TensorFlow raise.
            connection.send(f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])


def _checked(name: str) -> str:
    import numpy as np

    from benchmarks.layers.case import DIFFERENCES, checkable, slopes
    from benchmarks.layers.table import CASES

    case = checkable(CASES[name])
    _, rtol, atol = DIFFERENCES[case.floatx]
    pairs = slopes(case)
    return RIGHT if all(np.isclose(*pair, rtol=rtol, atol=atol) for pair in pairs) else WRONG


def _trained(name: str, way: str) -> str:
    import numpy as np

    from benchmarks.layers.case import trainer_of
    from benchmarks.layers.table import CASES

    trainer = trainer_of([CASES[name]], jit_compile=True)
    trainer._ways = (way,)  # In place of the first that works.
    loss = trainer.train(2)["loss"]
    return TRAINED if np.isfinite(loss) else f"loss {loss}"


class Worker:
    """A process that tries things, one after the other, and is replaced if it takes too long."""

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._process: Any = None

    def ask(self, name: str, what: str, seconds: float) -> str:
        """Returns what came of trying, or `SLOW` or `CRASHED`."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_work, args=(other,), daemon=True)
            self._process.start()
            self._connection.recv()
        self._connection.send((name, what))
        came = SLOW
        try:
            if self._connection.poll(seconds):
                return self._connection.recv()
        except EOFError:
            came = CRASHED  # As by a failed check in native code.
        self._process.kill()
        self._process.join()
        self._process = None
        return came
