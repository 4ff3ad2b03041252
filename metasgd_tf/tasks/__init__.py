"""The task families, one module each; a module's name is the value of `--task`.

The user's own tasks are a function, `--task=package.module:function`.

A module has a subclass of `trainers.families.Family` and a function
`from_flags(settings, splits)` that makes it. Listing the names imports none of the modules, so that
flags are checked before TensorFlow is loaded.
"""

import contextlib
import importlib
import numbers
import pkgutil
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    from trainers.families import Family
    from trainers.task_family import TaskFamily

FUNCTION = re.compile(r"\w+(\.\w+)*:\w+")
"""The form of a function's name: package.module:function."""

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__))


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> "Family":
    """Makes the family of `--task`.

    Args:
      settings: a run's flags.
      splits: which of `trainers.seeds.SPLITS` will be drawn from; only their data are kept. If it
        is empty no data are needed, and the family only has the shapes of tasks, as for an export.

    Raises:
      InputError: if the data cannot be used or are too few for the sizes, or the user's function
        cannot be imported or does not return a valid family.
    """
    if ":" in settings.task:
        return _of_ones_own(settings, splits)
    module = importlib.import_module(f"metasgd_tf.tasks.{settings.task}")
    return module.from_flags(settings, splits)


def _of_ones_own(settings: flags.FlagValues, splits: Sequence[str]) -> "Family":
    from metasgd_tf import user_code
    from trainers.errors import InputError
    from trainers.task_family import TaskFamily

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
    if family.metric_mode not in ("min", "max"):
        raise InputError(
            f"task={name}: its metric_mode is {family.metric_mode!r}; should be 'min' or 'max', "
            f"whichever {family.metric} is best"
        )
    for attribute in ("output_size", "shots"):
        # NumPy's integers are no numbers to Keras's layers and to JSON.
        if isinstance(value := getattr(family, attribute), numbers.Integral):
            with contextlib.suppress(AttributeError):  # A property has its own reasons.
                setattr(family, attribute, int(value))
    for split in splits:
        _refuse_other_episodes(name, family, split)
    return family


def _refuse_other_episodes(name: str, family: "TaskFamily", split: str) -> None:
    """Checks the types and shapes that `episode` returns, before anything else is done with it.

    Raises:
      InputError: if they do not fit the family's attributes.
    """
    import tensorflow as tf

    from trainers.episodes import Episode
    from trainers.errors import InputError

    draw = tf.function(family.sampler(split), autograph=False)
    try:
        drawn = draw.get_concrete_function(tf.TensorSpec([2], tf.int32)).structured_outputs
    except InputError:
        raise
    except Exception as error:
        # The user's function may raise anything.
        raise InputError(
            f"task={name}: its episode raised {type(error).__name__} ({error}) for split={split}"
        ) from error
    if not isinstance(drawn, Episode):
        raise InputError(
            f"task={name}: its episode returned a {type(drawn).__name__}; should return a "
            "trainers.Episode"
        )
    lacking = [
        part
        for part, held in drawn._asdict().items()
        if any(leaf is None for leaf in tf.nest.flatten(held))
    ]
    if lacking:
        raise InputError(
            f"task={name}: its episode has None in its {', '.join(lacking)}; should have tensors"
        )
    for inputs in (drawn.support_inputs, drawn.query_inputs):
        found = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), inputs)
        if not _fits(found, family.input_spec):
            raise InputError(
                f"task={name}: an example of its episode has inputs {found}; should be as its "
                f"input_shape or input_spec says, {family.input_spec}"
            )
    kinds = {targets.dtype for targets in tf.nest.flatten((drawn[1], drawn[3]))}
    if any(kind.is_integer != family.classifies for kind in kinds):
        raise InputError(
            f"task={name}: its episode has targets of {', '.join(sorted(k.name for k in kinds))} "
            f"and classifies is {family.classifies}; should be integers where it is True, which "
            "are classes, and floats where it is False"
        )
    for targets in (drawn.support_targets, drawn.query_targets):
        found = tf.nest.map_structure(lambda y: tf.TensorSpec(y.shape[1:], y.dtype), targets)
        if not _fits(found, family.target_spec, of_shape_alone=True):
            raise InputError(
                f"task={name}: an example of its episode has targets {found}; should be as its "
                f"output_size or target_spec says, {family.target_spec}"
            )


def _fits(found: Any, specs: Any, of_shape_alone: bool = False) -> bool:
    import tensorflow as tf

    try:
        tf.nest.assert_same_structure(found, specs)
    except (TypeError, ValueError):
        return False
    pairs = zip(tf.nest.flatten(found), tf.nest.flatten(specs), strict=True)
    return all(
        spec.shape.is_compatible_with(value.shape) and (of_shape_alone or spec.dtype == value.dtype)
        for value, spec in pairs
    )
