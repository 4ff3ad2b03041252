"""Which tasks a flag is for, where it is not for all of them."""

from collections.abc import Mapping
from typing import Any

from absl import flags

_CLASSIFICATION = ("image_folder", "mini_imagenet", "omniglot", "tfds_images")
_BY_CLASS = {
    "ways": _CLASSIFICATION,
    "shots": ("sinusoid", *_CLASSIFICATION),
    "queries": ("sinusoid", *_CLASSIFICATION),
    "split_seed": ("image_folder", "omniglot", "tfds_images"),
}
_OF_ANY_IMAGES = {
    "image_dir": ("image_folder",),
    "dataset": ("tfds_images",),
    "class_splits": ("image_folder", "tfds_images"),
    "image_size": ("image_folder", "tfds_images"),
    "image_channels": ("image_folder", "tfds_images"),
    "allow_incomplete": ("mini_imagenet",),
}
_OF_OMNIGLOT = (
    "protocol",
    "within_alphabet",
    "split",
    "reflections",
    "whole_alphabets",
    "class_distortion",
    "drawing_distortion",
    "stroke_width",
)
_OF_NAVIGATION = (
    "reward",
    "start",
    "horizon",
    "trajectories",
    "inner_discount",
    "inner_gae_lambda",
    "outer_discount",
    "outer_gae_lambda",
    "inner_normalise",
    "inner_times_reward",
    "surrogate",
    "times_deviation",
    "entropy_weight",
    "trust_region",
)

USERS: Mapping[str, tuple[str, ...]] = {
    "fixed_frequency": ("sinusoid",),
    **_BY_CLASS,
    **_OF_ANY_IMAGES,
    **dict.fromkeys(_OF_OMNIGLOT, ("omniglot",)),
    **dict.fromkeys(_OF_NAVIGATION, ("navigation",)),
}
"""The tasks that use a flag, for each flag that changes tasks and that not all of them use.

Where data are (`--data_dir`, `--manual_dir`) changes no task, and is read from the environment for
any of them.
"""


def unused(task: str) -> set[str]:
    """Returns the flags that tasks have no use for.

    Args:
      task: the value of `--task`. Tasks of the user's own may use any flag.
    """
    if ":" in task:
        return set()
    return {name for name, users in USERS.items() if task not in users}


def refuse_unused(task: str, given: Mapping[str, Any]) -> None:
    """Checks that tasks use the flags that are given for them.

    Args:
      task: the value of `--task`.
      given: the flags with their values.

    Raises:
      flags.Error: if they have no use for one.
    """
    for name in sorted(unused(task) & set(given)):
        raise flags.IllegalFlagValueError(
            f"{name}={given[name]}: is for --task={' or '.join(USERS[name])}, and task={task} has "
            "no use for it; should be left out"
        )
