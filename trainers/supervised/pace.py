"""Chooses how many iterations a call of the compiled loop makes, for about a second per call."""

import contextlib
import time
from collections.abc import Iterator

SECONDS = 1.0
GROWTH = 10


class Pace:
    """Chooses the length of calls from the time of earlier ones; the results do not depend on it.

    Attributes:
      burst: how many iterations the next call should make.
    """

    def __init__(self) -> None:
        """Starts with one iteration, as the first call compiles and its time says nothing."""
        self.burst = 1
        self._compiled = False

    @contextlib.contextmanager
    def timed(self, iterations: int) -> Iterator[None]:
        """Times a call of so many iterations."""
        start = time.monotonic()
        yield
        if self._compiled:
            fitting = int(iterations * SECONDS / max(time.monotonic() - start, 1e-9))
            self.burst = max(1, min(fitting, GROWTH * self.burst))
        self._compiled = True
