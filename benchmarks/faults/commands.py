"""Starts the project's commands, quickly: each is forked from a process that has TensorFlow."""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import ForkServerProcess
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 900
"""Seconds after which a command is taken to hang, however busy the machine is."""

_READY = multiprocessing.get_context("forkserver")
_READY.set_forkserver_preload(
    [
        "keras",
        "metasgd_tf.runs.training",
        "metasgd_tf.serving.writing",
        "metasgd_tf.tasks.omniglot",
        "metasgd_tf.tasks.navigation",
    ]
)


Command = Sequence[str]
"""The name of a command, then its arguments."""


class Done(NamedTuple):
    """How a command ended.

    Attributes:
      code: its exit code; minus the signal's number where it was killed.
      said: all lines that it wrote on standard error.
      seconds: how long it took.
    """

    code: int
    said: list[str]
    seconds: float

    @property
    def crashed(self) -> bool:
        """Whether it ended in a traceback, or by a signal that nobody sent."""
        return self.code < 0 or any(line.startswith("Traceback") for line in self.said)

    @property
    def refused(self) -> str | None:
        """The one sentence with which it refused, if it did so."""
        errors = [line for line in self.said if line.startswith("error: ")]
        one = self.code > 0 and len(errors) == 1 and self.said[-1] == errors[0]
        return errors[0].removeprefix("error: ") if one and not self.crashed else None


class Running:
    """A command at work."""

    def __init__(self, process: ForkServerProcess, said: pathlib.Path):
        """Takes the process, and the file of its standard error."""
        self.process, self._said, self._begin = process, said, time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self._begin

    def wait(self) -> Done:
        """Waits for its end.

        Raises:
          TimeoutError: it takes too long, and has been ended.
        """
        self.process.join(LIMIT)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"a command was still at work after {LIMIT} s")
        lines = self._said.read_text(encoding="utf-8", errors="replace").splitlines()
        return Done(self.process.exitcode, lines, self.seconds)

    def until(self, there: Callable[[], object]) -> bool:
        """Waits until `there()`; returns False if the command ends before."""
        while self.process.is_alive():
            if there():
                return True
            time.sleep(0.005)
        return bool(there())


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Has XLA compile without optimisation and keep what it has compiled, for the commands to come.

    The numbers are others than without it, and the same each time.
    """
    with tempfile.TemporaryDirectory() as kept:
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
        os.environ.setdefault("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={kept}")
        yield


@contextlib.contextmanager
def started(command: Command, before: Callable[[], None] | None = None) -> Iterator[Running]:
    """Starts a command, and ends it if it is still there when the context ends.

    Args:
      command: what to run.
      before: a function of a module, called in the command's process first.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = pathlib.Path(folder) / "stderr"
        process = _READY.Process(target=_become, args=(str(said), tuple(command), before))
        with contextlib.chdir(ROOT):
            process.start()
        running = Running(process, said)
        try:
            yield running
        finally:
            process.kill()
            process.join()


def run(command: Command, before: Callable[[], None] | None = None) -> Done:
    """Runs a command to its end."""
    with started(command, before) as running:
        return running.wait()


def _become(said: str, command: tuple[str, ...], before: Callable[[], None] | None) -> None:
    """Makes this process the command."""
    import tensorflow as tf

    # Else parsing flags would, as TensorFlow is there already.
    tf.config.list_physical_devices()
    # Optimising graphs takes longer than what is done in them here.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with open(os.devnull, "wb") as nothing, open(said, "wb") as file:
        os.dup2(nothing.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if before is not None:
        before()
    sys.argv = list(command)
    runpy.run_module(f"metasgd_tf.{command[0]}", run_name="__main__", alter_sys=True)
