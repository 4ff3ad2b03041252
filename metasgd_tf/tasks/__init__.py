"""The task families, one module each; a module's name is the value of `--task`.

A module has a subclass of `trainers.families.Family` and a function
`from_flags(settings, splits)` that makes it. Looking up the names imports none of them, so that
the command line answers before TensorFlow is loaded.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from trainers.families import Family

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__))


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> "Family":
    """Makes the family of `--task`.

    Args:
      settings: a run's flags.
      splits: which of `trainers.seeds.SPLITS` will be drawn from; data of others is not kept, and
        none is needed for a family that only says what its tasks look like.

    Raises:
      InputError: if the data or the sizes do not allow it.
    """
    module = importlib.import_module(f"metasgd_tf.tasks.{settings.task}")
    return module.from_flags(settings, splits)
