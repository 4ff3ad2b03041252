"""The versions of an export, `EXPORT_DIR/1`, `EXPORT_DIR/2` and so on, as TF Serving reads them.

A server takes up a version as soon as its folder is there, so a folder is written aside and moved
into place when it is whole. One that was never moved has a name that no server takes for a number.
"""

import pathlib
import shutil
import tempfile
from collections.abc import Callable

from trainers.checkpoints.files import refuse_pattern
from trainers.errors import InputError


def numbers(export_dir: str) -> list[int]:
    """Returns the numbers of the versions in a directory, in order; none if it is not there."""
    path = pathlib.Path(export_dir)
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if entry.name.isdecimal())


def newest(export_dir: str, flag: str = "export_dir") -> pathlib.Path:
    """Returns the folder of the newest version.

    Args:
      export_dir: the directory that export wrote.
      flag: the flag that named it.

    Raises:
      InputError: if there is none.
    """
    found = numbers(export_dir)
    if not found:
        raise InputError(
            f"{flag}={export_dir}: holds no export; name a directory that export wrote, with "
            "a numbered folder for each version"
        )
    return pathlib.Path(export_dir) / str(found[-1])


def write_next(export_dir: str, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Writes a version under the next number; if an exception is raised, nothing remains of it.

    Args:
      export_dir: made where missing.
      write: writes the version into an empty folder.

    Returns:
      The version's folder.

    Raises:
      InputError: if the directory cannot be made or written to, or TensorFlow would not find what
        is in it.
    """
    refuse_pattern(export_dir, "export_dir")
    try:
        pathlib.Path(export_dir).mkdir(parents=True, exist_ok=True)
        aside = tempfile.mkdtemp(prefix=".draft-", dir=export_dir)
    except OSError as error:
        raise InputError(
            f"export_dir={export_dir}: cannot be made or written to ({error.strerror}); name a "
            "directory that can"
        ) from error
    try:
        # One level down, since a temporary folder itself is for its owner's eyes only.
        draft = pathlib.Path(aside) / "version"
        draft.mkdir()
        write(draft)
        return _move_into_place(draft, export_dir)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move_into_place(draft: pathlib.Path, export_dir: str) -> pathlib.Path:
    while True:
        path = pathlib.Path(export_dir) / str(max(numbers(export_dir), default=0) + 1)
        try:
            return draft.rename(path)
        except OSError:
            # Another export has taken the number meanwhile: a folder with files is not replaced.
            if not path.exists():
                raise
