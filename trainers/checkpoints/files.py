"""The files of checkpoints: which of them are whole, and which are kept."""

import pathlib
import re
import shutil

import tensorflow as tf

from trainers.errors import InputError

PATTERN = "*?[\\"
"""What makes a name a pattern to TensorFlow, which looks for checkpoints by patterns."""


def refuse_pattern(directory: str, flag: str) -> None:
    """Checks that TensorFlow finds what it writes into a directory, and nothing else.

    Args:
      directory: its path.
      flag: the argument or flag that names it.

    Raises:
      InputError: if the path has a character that makes it a pattern.
    """
    for character in PATTERN:
        if character in directory:
            raise InputError(
                f"{flag}={directory}: has {character!r}, which TensorFlow takes for a pattern of "
                "names, so that it would not find what it writes there; name a link to it, or "
                "rename it"
            )


def newest_whole(directory: str) -> tuple[str | None, list[str]]:
    """Finds the newest checkpoint whose values can all be read and match their checksums.

    Returns:
      Its path, None if the directory has no checkpoint, and the paths of newer, damaged ones.

    Raises:
      InputError: if there are checkpoints and all of them are damaged.
    """
    found = numbered(directory)
    damaged: list[str] = []
    for number in sorted(found, reverse=True):
        if _is_whole(found[number]):
            return found[number], damaged
        if number not in numbered(directory):  # A training beside this has replaced it meanwhile.
            return newest_whole(directory)
        damaged.append(found[number])
    if damaged:
        raise InputError(
            f"{directory}: all checkpoints in it are damaged ({', '.join(sorted(damaged))}); "
            "bring back a copy, or remove it to start anew"
        )
    return None, damaged


def numbered(directory: str) -> dict[int, str]:
    """Returns the paths of the checkpoints in a directory by their numbers.

    The files themselves are asked: the list that TensorFlow keeps beside them may be damaged too.
    """
    return {
        int(match[1]): str(path.with_suffix(""))
        for path in pathlib.Path(directory).glob("ckpt-*.index")
        if (match := re.fullmatch(r"ckpt-(\d+)\.index", path.name))
    }


def keep_newest(count: int, directory: str, last: int) -> None:
    """Removes all but the newest `count` of the checkpoints up to the number `last`."""
    kept = sorted(number for number in numbered(directory) if number <= last)[-count:]
    left = [
        path
        for path in pathlib.Path(directory).glob("ckpt-*")
        if (match := re.fullmatch(r"ckpt-(\d+)(\..+|_temp)", path.name))
        if int(match[1]) <= last and (int(match[1]) not in kept or match[2] == "_temp")
    ]
    # Indices first: without one, the rest is no checkpoint.
    for path in sorted(left, key=lambda path: path.suffix != ".index"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _is_whole(path: str) -> bool:
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError):
        # Which of them depends on what is missing: the reader passes on what its parts raise.
        return False
    return True
