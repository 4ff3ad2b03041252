"""The progress of training: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import TextIO

import tqdm

LINES = 20


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
        """Shows that iteration `done` is reached, with the latest scores, if that can be."""
        # A training goes on unseen where a pipe was closed or a disk is full.
        with contextlib.suppress(OSError):
            self._show(done, scores)

    def close(self) -> None:
        """Closes the bar, which stays on the screen."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()

    def _show(self, done: int, scores: Mapping[str, float]) -> None:
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
