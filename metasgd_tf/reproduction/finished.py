"""Reads the parts of a table that an earlier call has finished."""

import json
import pathlib
from typing import Any

from trainers.errors import InputError


def finished(path: pathlib.Path, number: int, parts: str) -> dict[str, Any]:
    """Returns the parts of a table that its file has; none if there is no file.

    Args:
      path: the file, in the output directory.
      number: the table's number.
      parts: the key of the parts in the file.

    Raises:
      InputError: if the file is another table's, or was not written by this program.
    """
    if not path.exists():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["table"] == number:
            return dict(table[parts])
    except (ValueError, TypeError, KeyError):
        pass
    raise InputError(
        f"output_dir={path.parent}: its {path.name} is not a table {number} that this command "
        "wrote; remove it or name another directory"
    )
