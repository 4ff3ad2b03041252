"""What the commands share: a bad request is answered by one sentence and a non-zero exit."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import NoReturn

from absl import app, flags, logging

from metasgd_tf.process_environment import prepare_process
from metasgd_tf.runs.stopping import Stopped


def run(main: Callable[[], None]) -> None:
    """Runs a command: parses its flags, then calls `main`.

    TensorFlow must not have been imported yet; `main` does that, after the flags are known to be
    good.
    """
    prepare_process()
    try:
        app.run(lambda _: _guarded(main), flags_parser=_parse)
    except KeyboardInterrupt:
        _leave_by(signal.SIGINT, "stopped by SIGINT")


def _parse(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        refuse(str(error))
    if rest[1:]:
        refuse(f"unexpected argument {rest[1]!r}: every option is --name=value")
    return rest


def _guarded(main: Callable[[], None]) -> None:
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.ERROR)
    with _silenced_standard_error():
        import tensorflow as _  # noqa: F401

    from trainers.errors import DivergedError, InputError

    try:
        main()
    except (InputError, DivergedError, flags.Error) as error:
        refuse(str(error))
    except Stopped as stopped:
        _leave_by(stopped.signal, str(stopped))


@contextlib.contextmanager
def _silenced_standard_error() -> Iterator[None]:
    """Drops what native code writes to standard error, unless an exception follows.

    While TensorFlow is being imported its log obeys no setting.
    """
    with tempfile.TemporaryFile() as dropped:
        kept = os.dup(2)
        os.dup2(dropped.fileno(), 2)
        try:
            yield
        except BaseException:
            dropped.seek(0)
            os.write(kept, dropped.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _leave_by(number: signal.Signals, message: str) -> NoReturn:
    """Ends the program with one sentence and the exit code that shells give to a signal."""
    print(message, file=sys.stderr)
    sys.exit(128 + number)


def refuse(message: str) -> NoReturn:
    """Ends the program with one sentence on standard error and exit code 1."""
    sys.exit("error: " + " ".join(message.split()))
