"""The tasks that a run is tested on, which have no classes of its training."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from metasgd_tf import tasks
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.runs import division
from trainers.families import Family


def of_the_test(
    settings: flags.FlagValues,
    own: flags.FlagValues,
    model_dir: str,
    other_task: Mapping[str, Any],
) -> Family:
    """Returns the tasks of the test, which has no classes that the run was trained on.

    Args:
      settings: what to evaluate on.
      own: the flags of the run.
      model_dir: its directory.
      other_task: what of `settings` was asked for.

    Raises:
      InputError: if the tasks cannot be loaded, or a file puts such classes into the test.
    """
    if settings.task not in division.DIVIDED:
        return tasks.from_flags(settings, ("test",))
    own_images = division.same_source(settings, own)
    if own_images:
        settings.image_dir = own.image_dir  # However it was written now, it is no other domain.
    if "class_splits" in other_task:
        family = tasks.from_flags(settings, ("test",))
        if own_images or division.has_its_classes(family, model_dir):
            named = f"class_splits={settings.class_splits}"
            division.refuse_trained(family, model_dir, named, "leave them out, or the flag")
        return family
    if not own_images:
        settings.class_splits = None  # It has the classes of the run's own folder.
        family = tasks.from_flags(settings, ("test",))
        if not division.has_its_classes(family, model_dir):
            return family
    if division.recorded(model_dir):
        return tasks.from_flags(division.kept(settings, model_dir), ("test",))
    # A run of before divisions were kept. By chance the division depends on --ways.
    asked, settings.ways = settings.ways, own.ways
    family = tasks.from_flags(settings, ("test",))
    settings.ways = asked
    assert isinstance(family, ImageClassification)
    return family.with_ways(asked)
