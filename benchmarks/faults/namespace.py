"""A private view of the file system, in which a full or a read-only disk can be mounted.

Linux gives every user a namespace of users in which they are root, and of mounts that nobody else
sees, where its administrator has not forbidden it. Root's own rights to ignore the modes of files
do not reach a disk that is mounted read-only.
"""

import contextlib
import ctypes
import os
import pathlib
import subprocess
from collections.abc import Iterator

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000


def enter() -> str | None:
    """Moves this process, and all that it starts, into namespaces of its own.

    It must have one thread only, so call it before anything is imported that starts more.

    Returns:
      Why it cannot be done; None if it was.
    """
    user, group = os.getuid(), os.getgid()
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "unshare"):
        return "this system has no namespaces"
    if library.unshare(_NEW_USERS | _NEW_MOUNTS):
        return f"namespaces are not allowed ({os.strerror(ctypes.get_errno())})"
    own = pathlib.Path("/proc/self")
    (own / "setgroups").write_text("deny", encoding="ascii")
    (own / "uid_map").write_text(f"0 {user} 1", encoding="ascii")
    (own / "gid_map").write_text(f"0 {group} 1", encoding="ascii")
    return None


@contextlib.contextmanager
def disk(folder: pathlib.Path, megabytes: int) -> Iterator[pathlib.Path]:
    """Mounts an empty disk in memory at a folder, which is made, until the context ends."""
    folder.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: pathlib.Path, read_only: bool = True) -> None:
    """Makes a disk that `disk` mounted read-only, or writable again."""
    options = f"remount,{'ro' if read_only else 'rw'}"
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


def fill(folder: pathlib.Path, left: int = 0) -> pathlib.Path:
    """Fills a disk up but for so many bytes; returns the file that takes the space."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size - left))
    return filler
