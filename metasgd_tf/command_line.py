"""What the commands share: errors end them with one sentence and a non-zero exit code."""

import contextlib
import errno
import importlib.metadata
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn, TextIO

from absl import app, flags, logging

from metasgd_tf.output.notes import said, show_log_as_notes
from metasgd_tf.output.shown_names import UNWRITABLE, one_line
from metasgd_tf.process_environment import prepare_process
from metasgd_tf.runs.stopping import Stopped

WRITTEN_BY_TENSORFLOW = (
    "model_dir",
    "model_dirs",
    "compare_with",
    "export_dir",
    "curve_export_dirs",
    "walk_model_dirs",
    "output_dir",
)
"""Flags that name directories of checkpoints and exports, which TensorFlow finds by patterns."""

OPENED_BY_TENSORFLOW = (*WRITTEN_BY_TENSORFLOW, "data_dir", "manual_dir", "dataset", "task")
"""Flags whose names reach TensorFlow, which takes UTF-8 alone."""

PATTERN = "*?[\\"
"""What makes a name a pattern to TensorFlow, as `trainers.checkpoints.files` has it, whose import
would load TensorFlow before flags are checked."""

SHOWN = 64 * 1024
"""How many of the last bytes that native code wrote are shown after a crash."""


UNHEARD = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of printing to a stream whose reader has gone, or which is a file that cannot grow."""


class _VersionFlag(flags.BooleanFlag):
    """Ends the program where it is met, before flags that are missing are found to be so."""

    def parse(self, argument: object) -> None:
        super().parse(argument)
        if not self.value:
            return
        try:
            print("metasgd_tf", importlib.metadata.version("metasgd_tf"))
        except importlib.metadata.PackageNotFoundError:
            refuse("version: metasgd_tf is not installed; pip install -e . in the checkout does it")
        sys.exit()


def run(main: Callable[[], None]) -> None:
    """Runs a command: parses its flags, then calls `main`.

    TensorFlow must not have been imported yet; that is done once the flags are known to be valid.
    """
    prepare_process()
    flags.DEFINE_flag(_VersionFlag("version", False, "Whether to print the version and end."))
    # As one of the command's own, which --help lists.
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["version"])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # It may be closed, or another's.
            stream.reconfigure(errors=UNWRITABLE)
    try:
        try:
            app.run(lambda _: _run(main), flags_parser=_parse)
        except KeyboardInterrupt:
            _leave_by(signal.SIGINT, "stopped by SIGINT")
        except OSError as error:  # Of a long --help, for one.
            _leave_unheard(error)
    except SystemExit as ended:
        _end_heard(ended)


def _parse(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        refuse(str(error))
    except UnicodeDecodeError as error:
        named = [text.lstrip("-") for text in arguments if text.lstrip("-").startswith("flagfile=")]
        refuse(
            f"{' or '.join(named) or 'flagfile'}: holds bytes that are not UTF-8 ({error.reason}); "
            "should be saved as UTF-8"
        )
    if rest[1:]:
        refuse(f"unexpected argument {rest[1]!r}: every option is --name=value")
    for name in flags.FLAGS:
        values = flags.FLAGS[name].value
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                _check_name(name, value)
    return rest


def _check_name(flag: str, value: str) -> None:
    """Refuses what cannot be kept in a flagfile, and a folder that TensorFlow could not open."""
    if "\n" in value or "\r" in value:
        refuse(
            f"{flag}={value!r}: should have no line break in it; name a link to it, or rename it"
        )
    if "\0" in value:
        refuse(f"{flag}={value!r}: should have no NUL in it, as no file's name has; leave it out")
    found = set(PATTERN) & set(value)
    if found and flag in WRITTEN_BY_TENSORFLOW:
        refuse(
            f"{flag}={value}: has {' '.join(sorted(found))}, which TensorFlow takes for a pattern "
            "of names; name a link to it, or rename it"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        if flag in OPENED_BY_TENSORFLOW:
            refuse(
                f"{flag}={value}: TensorFlow opens names of UTF-8 alone; name a link to it, or "
                "rename it"
            )


def _run(main: Callable[[], None]) -> None:
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.ERROR)
    with _native_code_silenced():
        _guarded(main)


def _guarded(main: Callable[[], None]) -> None:
    import tensorflow as tf

    from metasgd_tf.output import storage
    from trainers.errors import DivergedError, InputError, LostWorkerError

    show_log_as_notes()

    try:
        main()
    except (InputError, DivergedError, LostWorkerError, flags.Error) as error:
        refuse(str(error))
    except (OSError, tf.errors.OpError) as error:
        sentence = storage.told(error)
        if sentence is not None:
            refuse(sentence)
        if isinstance(error, OSError):
            _leave_unheard(error)
        raise
    except Stopped as stopped:
        _leave_by(stopped.signal, str(stopped))


@contextlib.contextmanager
def _native_code_silenced() -> Iterator[None]:
    """Keeps standard error for Python; what native code writes there is shown after a crash only.

    TensorFlow ignores its log settings while it is imported, and XLA later warns about slow
    compilations, more often on a busy machine. So `sys.stderr` becomes a copy of file descriptor 2,
    and descriptor 2 itself a pipe to a `tail` process, which keeps the last bytes. `tail` prints
    them once nobody has the pipe open: after an unexpected exception, or when this process has
    died in native code, where no handler could run. As a process of its own it reads whatever this
    one is doing, so that the pipe never fills.

    With TF_CPP_MIN_LOG_LEVEL set to 0 or 1 everything is shown at once instead.
    """
    wanted = os.environ["TF_CPP_MIN_LOG_LEVEL"] in ("0", "1")
    if wanted or sys.stderr is None or not shutil.which("tail"):
        yield
        return
    copy = os.dup(2)
    _move_python_to(copy)
    keeper = subprocess.Popen(
        ["tail", "-c", str(SHOWN)],
        stdin=subprocess.PIPE,
        stdout=copy,
        start_new_session=True,  # Ctrl-C must not end it.
    )
    assert keeper.stdin is not None
    os.dup2(keeper.stdin.fileno(), 2)
    keeper.stdin.close()
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        os.dup2(copy, 2)
        # A child process may have inherited the descriptor and still be running.
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(10)
        raise
    finally:
        keeper.kill()
        keeper.wait()


def _move_python_to(descriptor: int) -> None:
    """Makes `sys.stderr`, and the log handler that already uses it, write to a descriptor."""
    before, handler = sys.stderr, logging.get_absl_handler().python_handler
    before.flush()
    sys.stderr = open(  # noqa: SIM115
        descriptor, "w", buffering=1, encoding=before.encoding, errors=before.errors
    )
    if handler.stream is before:
        handler.setStream(sys.stderr)


def _end_heard(ended: SystemExit) -> NoReturn:
    """Ends the program once all that it printed has been taken, or says that it was not."""
    for stream in filter(None, (sys.stderr, sys.stdout)):  # Either may be closed.
        try:
            stream.flush()
        except OSError as error:
            _print_nowhere(stream)
            # What went wrong before that comes first, and of standard error nobody can be told.
            if stream is sys.stdout and not isinstance(ended.code, str):
                _leave_unheard(error)
    raise ended


def _leave_unheard(error: OSError) -> NoReturn:
    """Ends the program where printing failed, quietly if that is because nobody reads any more.

    Raises:
      OSError: the error, if it is of anything else.
    """
    if error.filename is not None or error.errno not in UNHEARD:
        raise error
    if error.errno == errno.EPIPE:
        sys.exit(128 + signal.SIGPIPE)
    refuse(f"standard output: {error.strerror}; free some space, or print to somewhere else")


def _print_nowhere(stream: TextIO) -> None:
    """Has what a stream still holds go nowhere: Python tries to print it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _leave_by(number: signal.Signals, message: str) -> NoReturn:
    """Ends the program with one sentence and the exit code that shells give to a signal."""
    print(said(message), file=sys.stderr)
    sys.exit(128 + number)


def refuse(message: str) -> NoReturn:
    """Ends the program with one sentence on standard error and exit code 1."""
    sys.exit("error: " + said(one_line(message)))
