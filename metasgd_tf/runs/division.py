"""Which classes a run is trained and tested on, kept in its directory as chance or a file has them.

The same flags divide a folder otherwise when a class was added to it, or a file of splits was
edited. A run that is gone on with keeps its division, and so does its test.
"""

import os
import pathlib

from absl import flags

from metasgd_tf.flags import run_flags
from metasgd_tf.images import class_splits
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.output.listing import listed
from metasgd_tf.output.shown_names import shown
from trainers.errors import InputError
from trainers.families import Family

FILE_NAME = "classes.csv"
"""In a run's directory, of the format of --class_splits."""

DIVIDED = ("image_folder", "tfds_images")
"""The tasks whose classes chance or a file divides."""

TRAINED = ("train", "validation")
"""The splits whose classes the test should not have."""


def write(family: Family, model_dir: str) -> None:
    """Keeps the division of a family's classes, or removes an earlier one if it has none."""
    path = pathlib.Path(model_dir) / FILE_NAME
    if isinstance(family, ImageClassification) and family.division:
        class_splits.write(path, family.division)
    else:
        path.unlink(missing_ok=True)


def of_a_training(settings: flags.FlagValues, model_dir: str) -> flags.FlagValues:
    """Returns a run's flags, with the division that a directory keeps if it holds this run."""
    if not (pathlib.Path(model_dir) / run_flags.FILE_NAME).exists():
        return settings
    begun = run_flags.read(model_dir)
    asked = run_flags.parse(run_flags.serialize(settings))
    if asked.alpha_init is None:  # The learner draws it, which is built from the tasks.
        asked.alpha_init = begun.alpha_init
    return settings if run_flags.differences(asked, begun) else kept(settings, model_dir)


def kept(settings: flags.FlagValues, model_dir: str) -> flags.FlagValues:
    """Returns a copy of some flags with the division that a run's directory keeps, if any."""
    path = pathlib.Path(model_dir) / FILE_NAME
    if settings.task not in DIVIDED or not path.exists():
        return settings
    copied = run_flags.parse(run_flags.serialize(settings))
    copied.class_splits = str(path)
    return copied


def recorded(model_dir: str) -> dict[str, str] | None:
    """Returns the split of each class that a run's directory keeps; None if it keeps no division.

    Raises:
      InputError: if the file is damaged.
    """
    path = pathlib.Path(model_dir) / FILE_NAME
    return class_splits.split_of_each(str(path)) if path.exists() else None


def same_source(one: flags.FlagValues, other: flags.FlagValues) -> bool:
    """Returns whether two runs have their images from one folder or one data set."""
    folders = (os.path.realpath(each.image_dir or "") for each in (one, other))
    return (one.task, one.dataset) == (other.task, other.dataset) and len(set(folders)) == 1


def has_its_classes(family: Family, model_dir: str) -> bool:
    """Returns whether images are those that a run was trained on, by the names of their classes.

    A folder that was moved has them, and a data set that is named by its version, which
    `same_source` takes for others.

    Args:
      family: the tasks of the images.
      model_dir: the run's directory.
    """
    splits = recorded(model_dir)
    held = family.all_classes if isinstance(family, ImageClassification) else ()
    return bool(splits) and set(map(shown, held)).issuperset(splits or ())


def refuse_trained(family: Family, model_dir: str, named: str, advice: str) -> None:
    """Checks that the test has no class that a run was trained or validated on.

    Args:
      family: the tasks of the test, from the source of the run's images.
      model_dir: the run's directory.
      named: the flag to name in the message, with its value.
      advice: what would be right.

    Raises:
      InputError: if it has some.
    """
    splits = recorded(model_dir)
    if splits is None or not isinstance(family, ImageClassification):
        return
    seen = [name for name in family.class_names("test") if splits.get(shown(name)) in TRAINED]
    if seen:
        raise InputError(
            f"{named}: the test would have classes that the run in {model_dir} was trained or "
            f"validated on ({listed(seen)}); {advice}"
        )
