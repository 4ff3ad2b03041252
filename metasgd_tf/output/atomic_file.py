"""Atomic writing of files: under another name first, then moved into place."""

import contextlib
import glob
import os
import pathlib
import secrets
import time
from collections.abc import Iterator
from typing import TextIO

ABANDONED = 3600.0
"""Seconds after which nobody writes to a draft any more."""


@contextlib.contextmanager
def replaced(path: pathlib.Path, errors: str = "strict") -> Iterator[TextIO]:
    """Opens a text file for writing, which replaces `path` when the block ends.

    If an exception ends the block, `path` stays as it was.

    Args:
      path: the file.
      errors: what becomes of characters that UTF-8 does not have, as for `open`.
    """
    with (
        drafted(path) as draft,
        draft.open("w", newline="", encoding="utf-8", errors=errors) as file,
    ):
        yield file


@contextlib.contextmanager
def drafted(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Names another file beside `path` to write to, which replaces it when the block ends.

    If an exception ends the block, `path` stays as it was, and the other file is removed.
    """
    _remove_abandoned(path)
    # Each has a draft of its own: two processes may write the same file, such as an evaluation's,
    # and have the same number in two containers that share the disk.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    try:
        yield draft
        os.replace(draft, path)
    except BaseException as error:
        # What could not be made cannot be removed either.
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # Writing to an open file does not name it.
        raise


def _remove_abandoned(path: pathlib.Path) -> None:
    """Removes the drafts of a file that processes left which were killed."""
    for draft in path.parent.glob(f"{glob.escape(path.name)}.*.draft"):
        with contextlib.suppress(OSError):
            if time.time() - draft.lstat().st_mtime > ABANDONED:
                draft.unlink()
