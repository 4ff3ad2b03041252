"""The memory that a process holds while something runs, read from Linux's /proc."""

import ctypes
import gc
import pathlib
import re
from collections.abc import Callable

MMAP_THRESHOLD = -3
"""The number of that setting in glibc's malloc.h."""


def raised_megabytes(work: Callable[[], object]) -> float:
    """Returns by how much `work` raises the process's resident memory at most, in MB of 2^20 bytes.

    What it compiles and keeps counts too, so it is to be something that has run before.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    # Tensors are given back to the system as soon as they are freed.
    libc.mallopt(MMAP_THRESHOLD, 2**15)
    libc.malloc_trim(0)
    before = _status("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """Returns a field of the process's status, in kB."""
    text = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(rf"{name}:\s+(\d+) kB", text)[0])
