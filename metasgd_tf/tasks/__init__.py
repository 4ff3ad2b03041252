"""The task families, one module each; a module's name is the value of `--task`.

Tasks of a person's own are a function, `--task=package.module:function`.

A module has a subclass of `trainers.families.Family` and a function
`from_flags(settings, splits)` that makes it. Looking up the names imports none of them, so that
the command line answers before TensorFlow is loaded.
"""

import importlib
import pkgutil
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from trainers.families import Family

FUNCTION = re.compile(r"\w+(\.\w+)*:\w+")
"""What names a function: package.module:function."""

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
    if ":" in settings.task:
        return _of_ones_own(settings, splits)
    module = importlib.import_module(f"metasgd_tf.tasks.{settings.task}")
    return module.from_flags(settings, splits)


def _of_ones_own(settings: flags.FlagValues, splits: Sequence[str]) -> "Family":
    from metasgd_tf import user_code
    from trainers.errors import InputError
    from trainers.families import TaskFamily

    name = settings.task
    family = user_code.call("task", name, settings=settings, splits=tuple(splits))
    if not isinstance(family, TaskFamily):
        raise InputError(
            f"task={name}: returned a {type(family).__name__}; should return a trainers.TaskFamily"
        )
    needed = ("input_shape", "output_size", "shots", "metric", "metric_mode", "metrics")
    lacking = [attribute for attribute in needed if not hasattr(family, attribute)]
    if lacking:
        raise InputError(
            f"task={name}: its {type(family).__name__} has no {', '.join(lacking)}; set them, as "
            "trainers.families.Family describes"
        )
    if family.metric not in family.scores:
        raise InputError(
            f"task={name}: its metric is {family.metric!r}; should be one of its scores, "
            f"{', '.join(family.scores)}"
        )
    return family
