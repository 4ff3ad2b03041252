"""Notes for the user, on standard error."""

import contextlib
import logging
import sys

from metasgd_tf.output.shown_names import one_line

_speaker: list[str] = []


def speak_as(name: str) -> None:
    """Has all that this process says from now on begin with who it is, such as `worker 1 of 2`."""
    _speaker[:] = [f"{name}: "]


def said(text: str) -> str:
    """Returns a text with who says it, where that has been told."""
    return "".join(_speaker) + text


def note(text: str) -> None:
    """Prints a note to standard error, on a line of its own, if that takes it."""
    with contextlib.suppress(OSError):
        print(f"note: {said(one_line(text))}", file=sys.stderr, flush=True)


def show_log_as_notes() -> None:
    """Prints what `trainers` logs as notes, such as that a model is run in a slower way."""
    logger = logging.getLogger("trainers")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Notes()]


class _Notes(logging.Handler):
    """Prints log records with `note`."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())
