"""Atomic writing of files: under another name first, then moved into place."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import TextIO


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
    draft = path.with_name(path.name + ".draft")
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
