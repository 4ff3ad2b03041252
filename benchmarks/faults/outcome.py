"""What came of a fault."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What came of a fault, a row of the table.

    Attributes:
      fault: what was done.
      command: to which command.
      times: how often.
      as_promised: how often what is promised came of it.
      found: what came of it, in words; what went wrong where anything did.
    """

    fault: str
    command: str
    times: int
    as_promised: int
    found: str

    def row(self) -> dict[str, Any]:
        """Returns it for a file of results."""
        return self._asdict()


def without_folders(sentence: str, folders: Sequence[object]) -> str:
    """Returns a sentence without the folders of this machine that it names."""
    for folder in folders:
        sentence = sentence.replace(str(folder), "…")
    return re.sub(r"tempstate\d+", "tempstate", sentence)
