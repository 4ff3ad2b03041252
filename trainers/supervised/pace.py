"""Chooses how many iterations a call of the compiled loop makes, for about a second per call.

Workers of one training must make calls of the same length: those of different lengths would wait
for each other for ever. So they go by the mean of their times.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

SECONDS = 1.0
GROWTH = 10


class Pace:
    """Chooses the length of calls from the time of earlier ones; the results do not depend on it.

    Attributes:
      burst: how many iterations the next call should make.
    """

    def __init__(self, mean: Callable[[float], float] = lambda seconds: seconds) -> None:
        """Starts with one iteration, as the first call compiles and its time says nothing.

        Args:
          mean: a function from this worker's time to the mean of all workers' times.
        """
        self.burst = 1
        self._mean = mean
        self._compiled = False

    @contextlib.contextmanager
    def timed(self, iterations: int) -> Iterator[None]:
        """Times a call of so many iterations."""
        start = time.monotonic()
        yield
        if self._compiled:
            seconds = self._mean(time.monotonic() - start)
            fitting = int(iterations * SECONDS / max(seconds, 1e-9))
            self.burst = max(1, min(fitting, GROWTH * self.burst))
        self._compiled = True
