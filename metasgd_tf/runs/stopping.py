"""Signals that stop training; it saves a checkpoint before it ends."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """A training ended before its last iteration because a signal asked for it.

    Attributes:
      signal: which one.
    """

    def __init__(self, number: signal.Signals, where: str):
        """Builds the message; `where` says how far training got."""
        super().__init__(f"stopped by {number.name} {where}; the same command goes on from there")
        self.signal = number


@contextlib.contextmanager
def noticing_signals() -> Iterator[Callable[[], signal.Signals | None]]:
    """Records SIGINT and SIGTERM instead of ending the program; a second one of a kind ends it.

    A signal that the program was started to ignore, as under nohup, stays ignored.

    Yields:
      A function that returns the first signal that has come, or None.
    """
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        # Python lets only the main thread set handlers.
        yield lambda: None
        return

    def notice(number: int, _: FrameType | None) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, before[signal.Signals(number)])

    before = {
        number: handler
        for number in SIGNALS
        if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)
    }
    for number in before:
        signal.signal(number, notice)
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
