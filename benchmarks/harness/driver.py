"""Starts worker processes and talks to them: what `meta_step` and `memory` share."""

import contextlib
import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import cases

ROOT = Path(__file__).resolve().parents[2]
OURS = "metasgd_tf"
# The module whose presence tells that a peer can run.
PEERS = {"torch_loop": "torch", "torch_func": "torch", "jax": "jax"}
# The peers that do not implement a kind of cases.
WITHOUT = {"reinforcement": ("torch_func", "jax")}

_GRACE_SECONDS = 10.0
_TAIL_LINES = 15


class BenchmarkError(Exception):
    """An error that stops a benchmark; its message is one sentence for the user."""


def chosen_cases(names: Sequence[str]) -> list[cases.Case]:
    """Returns the cases of these names.

    Raises:
      BenchmarkError: There is none, or a name is unknown.
    """
    names = [name for name in names if name]
    unknown = [name for name in names if name not in cases.CASES]
    if unknown or not names:
        known = ", ".join(cases.CASES)
        problem = f"unknown case {', '.join(unknown)}" if unknown else "no case given"
        raise BenchmarkError(f"--cases: {problem}; choose from {known}.")
    return [cases.CASES[name] for name in dict.fromkeys(names)]


def chosen_peers(names: Sequence[str]) -> list[str]:
    """Returns the peers to run, none for an empty list.

    Raises:
      BenchmarkError: A name is unknown, or what it needs is not installed.
    """
    peers = list(dict.fromkeys(name for name in names if name))
    unknown = [name for name in peers if name not in PEERS]
    if unknown:
        raise BenchmarkError(
            f"--peers: unknown peer {', '.join(unknown)}; choose from {', '.join(PEERS)}."
        )
    needed = dict.fromkeys(PEERS[name] for name in peers)
    missing = [module for module in needed if importlib.util.find_spec(module) is None]
    if missing:
        raise BenchmarkError(
            f"--peers needs {' and '.join(missing)}, not installed here: "
            "pip install -r benchmarks/requirements.txt"
        )
    return peers


def offering(case: cases.Case, systems: Sequence[str]) -> list[str]:
    """Returns the systems that implement a case."""
    return [system for system in systems if system not in WITHOUT.get(case.kind, ())]


@dataclasses.dataclass(frozen=True)
class Reply:
    """A worker's report on the meta-iterations that it ran.

    Attributes:
      seconds: Wall time of all of them.
      loss: The last meta-loss; in navigation minus the mean return before the inner step.
      resident_mb: Resident memory of the worker afterwards, in MB.
    """

    seconds: float
    loss: float
    resident_mb: float


class Process(contextlib.AbstractContextManager):
    """A process that answers lines of JSON with lines of JSON, and ends with the `with` block."""

    def __init__(self, arguments: Sequence[str], module: str, name: str) -> None:
        """Starts the process.

        Args:
          arguments: Its command line.
          module: The module that it runs.
          name: Its name in error messages.
        """
        self._name = name
        # A file and not a pipe: nobody would read a pipe in time, and a full one blocks the worker.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a line and returns the reply.

        Raises:
          BenchmarkError: The process ended instead.
        """
        try:
            print(json.dumps(request), file=self._requests, flush=True)
        except BrokenPipeError:
            raise self._failure() from None
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """Returns the next reply of the process.

        Raises:
          BenchmarkError: The process ended instead.
        """
        line = self._replies.readline()
        if not line:
            raise self._failure()
        return json.loads(line)

    def close(self) -> None:
        """Ends the process: by closing its input, and by force if that does not help."""
        self._end()
        self._replies.close()
        self._stderr.close()

    def __exit__(self, *exception: object) -> None:
        """Ends the process."""
        self.close()

    def _end(self) -> int:
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        try:
            return self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _failure(self) -> BenchmarkError:
        code = self._end()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        tail = "\n".join(lines[-_TAIL_LINES:])
        return BenchmarkError(f"The worker of {self._name} ended with code {code}:\n{tail}")


class Worker(Process):
    """One system on one case in a process of its own.

    Attributes:
      system: The system's name.
      case: The case.
      first_step_seconds: From the start of building to the end of meta-iteration 0.
      first_loss: The loss of that iteration.
      done: Meta-iterations run so far.
    """

    def __init__(self, system: str, case: cases.Case) -> None:
        """Starts the process and waits for its first meta-iteration."""
        super().__init__(
            ["--system", system, "--case", case.name],
            "benchmarks.harness.worker",
            f"{system} on {case.name}",
        )
        self.system = system
        self.case = case
        try:
            first = self.receive()
        except BaseException:
            self.close()
            raise
        self.first_step_seconds: float = first["first_step_seconds"]
        self.first_loss: float = first["loss"]
        self.done = 1

    def run(self, count: int) -> Reply:
        """Runs the next `count` meta-iterations.

        Raises:
          BenchmarkError: The worker ended instead.
        """
        reply = Reply(**self.ask({"first": self.done, "count": count}))
        self.done += count
        return reply
