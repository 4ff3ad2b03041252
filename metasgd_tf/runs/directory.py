"""A run's directory: it belongs to one training at a time, and to one run for good."""

import contextlib
import pathlib
from collections.abc import Iterator

import filelock
from absl import flags

from metasgd_tf.flags import run_flags
from trainers.errors import InputError

LOCK_NAME = ".lock"


@contextlib.contextmanager
def claimed(model_dir: str) -> Iterator[pathlib.Path]:
    """Makes a run's directory where missing, and keeps other trainings out of it.

    The system ends the claim with the process, however that ends.

    Raises:
      InputError: if it cannot be made or written to, or another training has it.
    """
    path = pathlib.Path(model_dir)
    lock = filelock.FileLock(path / LOCK_NAME, blocking=False)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"model_dir={model_dir}: another training is at work in it; wait until it has ended, "
            "or name another directory"
        ) from error
    except OSError as error:
        raise InputError(
            f"model_dir={model_dir}: cannot be made or written to ({error.strerror}); name a "
            "directory that can"
        ) from error
    try:
        yield path
    finally:
        lock.release()


def refuse_another_run(settings: flags.FlagValues, model_dir: str) -> None:
    """Checks that a run that is in a directory already is the one that the flags describe.

    Raises:
      InputError: if it is not; the differences are named.
    """
    differences = run_flags.differences(settings, run_flags.read(model_dir))
    if differences:
        raise InputError(
            f"model_dir={model_dir}: holds a run with other flags ({', '.join(differences)}); "
            "go on with the same ones, or name another directory"
        )
