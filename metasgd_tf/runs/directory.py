"""A run's directory: it holds one run only, which one process at a time may train."""

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
    """Creates a run's directory if missing, and locks it against other trainings.

    The operating system releases the lock when the process ends, however that happens. A directory
    that was created here is removed again if an exception leaves it empty.

    Raises:
      InputError: if it cannot be created or written to, or another training holds the lock.
    """
    path = pathlib.Path(model_dir)
    missing = not path.exists()
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
    except BaseException:
        if missing and path.exists() and [file.name for file in path.iterdir()] == [LOCK_NAME]:
            (path / LOCK_NAME).unlink()
            path.rmdir()
        raise
    finally:
        lock.release()


def refuse_another_run(settings: flags.FlagValues, model_dir: str) -> None:
    """Checks that the run in a directory is the one that the flags describe.

    Raises:
      InputError: if it is not; the message names the differing flags.
    """
    differences = run_flags.differences(settings, run_flags.read(model_dir))
    if differences:
        raise InputError(
            f"model_dir={model_dir}: holds a run with other flags ({', '.join(differences)}); "
            "go on with the same ones, or name another directory"
        )
