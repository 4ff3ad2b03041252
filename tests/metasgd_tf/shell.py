"""Runs the commands as from a shell, and reads what they leave."""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from typing import Any

import tensorflow as tf

from tests.quick_graphs import use_quick_graphs

ROOT = pathlib.Path(__file__).parents[2]
SMALL = [
    "--algorithm=meta_sgd",
    "--meta_learning_rate=0.01",
    "--summary_interval=10",
    "--checkpoint_interval=20",
    "--validation_tasks=4",
    "--seed=3",
]
QUICK = [*SMALL, "--model=tests.fast_network:of_numbers"]
"""The same without XLA, for tests that are not about what it compiles."""

LIMIT = 600
"""Seconds after which a process is taken to hang, however busy the machine is."""

# Processes are forked from one that has imported TensorFlow, which takes seconds each time, and
# what the commands import when they are at work.
_READY = multiprocessing.get_context("forkserver")
_READY.set_forkserver_preload(
    ["keras", "metasgd_tf.runs.training", "metasgd_tf.serving.writing", "metasgd_tf.tasks.omniglot"]
)


def command(name, *arguments, **environment):
    """Runs a command as from a shell in which nothing but this environment is set for tests.

    It is one of this project's by its name, or a module such as `examples.classify_by_rest`.
    With a PYTHONPATH it is a process of its own from the start, and XLA keeps nothing for it.
    """
    if "PYTHONPATH" in environment:
        fresh = {key: value for key, value in _environment().items() if key != "TF_XLA_FLAGS"}
        return subprocess.run(
            [sys.executable, "-m", f"metasgd_tf.{name}", *arguments],
            env=fresh | environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    with tempfile.TemporaryDirectory() as said:
        running = start(said, name, *arguments, **environment)
        running.join(LIMIT)
        if running.exitcode is None:
            running.kill()
            raise subprocess.TimeoutExpired([name, *arguments], LIMIT)
        return subprocess.CompletedProcess(
            [name, *arguments], running.exitcode, read(said, "stdout"), read(said, "stderr")
        )


def start(said, name, *arguments, **environment) -> ForkServerProcess:
    """Starts a command; what it says will be in the files `stdout` and `stderr` of a directory."""
    given = str(said), os.getcwd(), _environment() | environment, name, arguments
    running = _READY.Process(target=_become, args=given)
    with contextlib.chdir(ROOT):  # Where it finds this project, should it not be running yet.
        running.start()
    return running


def read(said, stream):
    """Returns what a command that was started has said."""
    return (pathlib.Path(said) / stream).read_text(encoding="utf-8")


def _environment():
    not_for_commands = ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "TFDS_DATA_DIR")
    return {key: value for key, value in os.environ.items() if key not in not_for_commands}


def _become(said, directory, environment, name, arguments):
    """Makes this process the command."""
    # Else parsing flags would, as TensorFlow is there already, and its log be the command's.
    tf.config.list_physical_devices()
    use_quick_graphs()  # As in the tests' process, whose numbers are compared with the command's.
    for number, stream in ((1, "stdout"), (2, "stderr")):
        with open(os.path.join(said, stream), "wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    # Else it would ignore SIGINT where these tests run in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [name, *arguments]
    module = name if "." in name else f"metasgd_tf.{name}"
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def assert_refused(done):
    """Returns the one sentence with which a command refused."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    return errors[0]


def checkpoint_values(model_dir):
    """Returns θ, α and the optimizer's state as they lie in the last checkpoint.

    Not the time that the training took, which no two runs share.
    """
    path = tf.train.latest_checkpoint(str(pathlib.Path(model_dir) / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VALUE")]
    return {
        name: reader.get_tensor(name)
        for name in names
        if not name.startswith(("save_counter", "seconds"))
    }


def events(folder: str | os.PathLike[str]) -> dict[tuple[str, int], Any]:
    """Returns what the event files of a folder hold, by tag and step."""
    return {
        (value.tag, event.step): value
        for path in sorted(pathlib.Path(folder).glob("events*"))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


def scalar(value: Any) -> float:
    """Returns the number of a summary that holds one."""
    return float(tf.make_ndarray(value.tensor))
