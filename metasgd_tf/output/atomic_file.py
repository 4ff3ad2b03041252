"""Files that are whole whenever they are there: written aside, then moved into place."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def replaced(path: pathlib.Path) -> Iterator[TextIO]:
    """Gives a text file to write to, which takes the place of `path` at the end.

    What is at `path` stays as it was if an exception ends the writing.
    """
    draft = path.with_name(path.name + ".draft")
    with draft.open("w", newline="", encoding="utf-8") as file:
        yield file
    os.replace(draft, path)
