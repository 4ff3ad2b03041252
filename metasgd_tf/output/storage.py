"""Errors of the file system in a sentence: a full disk, a folder that was removed, and the like."""

import errno
import os
import re

import tensorflow as tf

_AGAIN = "then give the same command again"
_ADVICE = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some space, {_AGAIN}",
    errno.EFBIG: f"raise the limit on the size of a file, {_AGAIN}",
    errno.EROFS: "make it writable or name another directory",
    errno.EACCES: "make it accessible or name another directory",
    errno.EPERM: "make it accessible or name another directory",
    errno.ENOENT: "it may have been removed meanwhile; bring it back or name another",
    errno.ENOTDIR: "a file is where a folder should be; remove it or name another directory",
    errno.EIO: f"see to the disk, {_AGAIN}",
    errno.ESTALE: f"see to the disk, {_AGAIN}",
}
"""What to do about each kind of error."""
_OTHERWISE = "see to it or name another"


def told(error: OSError | tf.errors.OpError) -> str | None:
    """Returns a sentence that names the file, the cause and what to do.

    Args:
      error: as Python or TensorFlow raised it. TensorFlow's has the file and the system's own words
        in its message, `FILE; No space left on device`.

    Returns:
      None if it is not an error of the file system.
    """
    if isinstance(error, OSError):
        file, number = error.filename, error.errno
        if not isinstance(number, int) or not isinstance(file, str | bytes | os.PathLike):
            return None  # Nor where a file is known by its descriptor only.
        return _sentence(os.fsdecode(file), number)
    message = re.sub(r"^\{\{.*?\}\}\s*", "", error.message)  # Which operation it was.
    for number in _ADVICE:
        found = re.search(rf"([^;\n]+); {re.escape(os.strerror(number))}", message)
        if found:
            return _sentence(found[1].strip(), number)
    return None


def _sentence(file: str, number: int) -> str:
    return f"{file}: {os.strerror(number)}; {_ADVICE.get(number, _OTHERWISE)}"
