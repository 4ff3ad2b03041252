"""The files of a table: JSON and Markdown, which several commands may fill at once."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import filelock

from metasgd_tf.evaluation.reports import as_json
from metasgd_tf.output.atomic_file import replaced
from trainers.errors import InputError


@dataclasses.dataclass(frozen=True)
class TableFile:
    """A table in an output directory that is made part by part.

    Attributes:
      path: the JSON file; the Markdown lies beside it.
      head: what the file has beside the parts; `table` is the table's number.
      parts: the key of the parts in the file.
      names: those of all parts, in order.
      render: makes the Markdown from the contents of the JSON file.
    """

    path: pathlib.Path
    head: Mapping[str, Any]
    parts: str
    names: Iterable[str]
    render: Callable[[dict[str, Any]], str]

    def read(self) -> dict[str, Any]:
        """Returns the table with the parts that its file has; none if there is no file.

        Raises:
          InputError: if the file is another table's, or was not written by this program.
        """
        return {**self.head, self.parts: self._finished()}

    def _finished(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        number = self.head["table"]
        try:
            table = json.loads(self.path.read_text(encoding="utf-8"))
            if table["table"] == number:
                return dict(table[self.parts])
        except (ValueError, TypeError, KeyError):
            pass
        raise InputError(
            f"output_dir={self.path.parent}: its {self.path.name} is not a table {number} that "
            "this command wrote; remove it or name another directory"
        )

    @contextlib.contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """Gives the table as its file has it now, and writes it when the block ends.

        Others that change it wait until then, so that none writes over what another one added since
        it read the file. Blocks should be short. Numbers that are not finite become None.

        Raises:
          InputError: as `read` does.
        """
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock")):
            table = self.read()
            yield table
            held = table[self.parts]
            table[self.parts] = as_json({name: held[name] for name in self.names if name in held})
            write(self.path, table, self.render(table))


def write(path: pathlib.Path, table: Mapping[str, Any], markdown: str) -> None:
    """Writes a table as JSON, and beside it as Markdown.

    Args:
      path: the JSON file.
      table: its contents, whose numbers are finite.
      markdown: the contents of the other file.
    """
    with replaced(path) as file:
        file.write(json.dumps(table, indent=2, allow_nan=False) + "\n")
    with replaced(path.with_suffix(".md")) as file:
        file.write(markdown)
