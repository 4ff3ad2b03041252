"""Notes for the user, on standard error."""

import logging
import sys

from metasgd_tf.output.shown_names import one_line


def note(text: str) -> None:
    """Prints a note to standard error, on a line of its own."""
    print(f"note: {one_line(text)}", file=sys.stderr, flush=True)


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
