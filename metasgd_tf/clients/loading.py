"""Loads an export with TensorFlow."""

from typing import Any

import tensorflow as tf

from metasgd_tf.serving import versions
from trainers.errors import InputError


def load_newest(export_dir: str, flag: str = "export_dir") -> Any:
    """Returns the newest version of an export, to be held as long as its signatures are used.

    Args:
      export_dir: the directory that export wrote.
      flag: the flag that named it.

    Raises:
      InputError: if there is no export, or it cannot be loaded.
    """
    folder = versions.newest(export_dir, flag)
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, IndexError, tf.errors.OpError) as error:
        raise InputError(
            f"{flag}={export_dir}: {folder} cannot be loaded ({_first_line(error)}); export the "
            "run once more"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
