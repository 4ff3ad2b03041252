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
    before = kilobytes("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    return (kilobytes("VmHWM") - before) / 1024


def kilobytes(name: str, process: str = "self") -> int:
    """Returns a field of a process's status, such as `VmHWM`, in kB of 1,024 bytes.

    Args:
      name: the field.
      process: whose, by its number; 0 is returned of one that has ended.
    """
    text = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int((re.findall(rf"{name}:\s+(\d+) kB", text) or [0])[0])
