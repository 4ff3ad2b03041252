"""Atomic writing of files: under another name first, then moved into place."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def replaced(path: pathlib.Path) -> Iterator[TextIO]:
    """Opens a text file for writing, which replaces `path` when the block ends.

    If an exception ends the block, `path` stays as it was.
    """
    draft = path.with_name(path.name + ".draft")
    with draft.open("w", newline="", encoding="utf-8") as file:
        yield file
    os.replace(draft, path)
