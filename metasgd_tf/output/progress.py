"""How far a training is: a bar on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import TextIO

import tqdm

LINES = 20


def note(text: str) -> None:
    """Tells a person something on standard error, in a line of its own."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def show_log_as_notes() -> None:
    """Tells a person what `trainers` logs, such as that a model is run in a slower way."""
    logger = logging.getLogger("trainers")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Notes()]


class _Notes(logging.Handler):
    """Hands log records to `note`."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


class Progress:
    """Shows iterations, rate, time left and scores, on standard error."""

    def __init__(self, name: str, done: int, total: int, stream: TextIO | None = None):
        """Starts at iteration `done` of `total`."""
        self._stream = stream or sys.stderr
        self._name, self._done, self._total = name, done, total
        self._first, self._start = done, time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm.tqdm(
                desc=name, initial=done, total=total, unit="it", file=self._stream, smoothing=0.1
            )

    def update(self, done: int, scores: Mapping[str, float]) -> None:
        """Notes that iteration `done` is reached, with the latest scores."""
        text = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        before, self._done = self._done, done
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - before)
        elif done == self._total or done * LINES // self._total > before * LINES // self._total:
            elapsed = time.monotonic() - self._start
            rate = (done - self._first) / max(elapsed, 1e-9)
            left = (self._total - done) / rate
            print(
                f"{self._name}: {done}/{self._total} [{elapsed:.0f}s<{left:.0f}s, {rate:.4g}it/s] "
                f"{text}",
                file=self._stream,
                flush=True,
            )

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
