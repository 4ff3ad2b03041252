"""The inputs and targets in requests to an export: their names, shapes and types."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from metasgd_tf.images.classification import ImageClassification
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.task_family import TaskFamily


class TaskSpec(NamedTuple):
    """The shapes and types of a learner's tasks.

    Attributes:
      inputs: the inputs of one example, a nested structure of `tf.TensorSpec`.
      targets: its targets, likewise.
      classifies: whether targets are class numbers, and outputs the classes' logits.
      images: the tasks, where their inputs are images that requests may hold as files.
    """

    inputs: Any
    targets: Any
    classifies: bool
    images: ImageClassification | None = None


def of_family(family: TaskFamily) -> TaskSpec:
    """Returns the spec of a family's tasks."""
    images = family if isinstance(family, ImageClassification) else None
    return TaskSpec(family.input_spec, family.target_spec, family.classifies, images)


def of_episode(episode: Episode, classifies: bool) -> TaskSpec:
    """Returns the spec of tasks like an episode, with any number of examples.

    Raises:
      InputError: if it is said to be classification and its targets are no class numbers.
    """

    def spec(value: Any) -> tf.TensorSpec:
        tensor = tf.convert_to_tensor(value)
        return tf.TensorSpec(tensor.shape[1:], tensor.dtype)

    found = TaskSpec(
        tf.nest.map_structure(spec, episode.support_inputs),
        tf.nest.map_structure(spec, episode.support_targets),
        classifies,
    )
    targets = tf.nest.flatten(found.targets)
    if classifies and (
        len(targets) > 1 or not targets[0].dtype.is_integer or targets[0].shape.rank
    ):
        raise InputError(
            f"classifies=True: the episode's targets are {found.targets}; should be class numbers, "
            "integers of shape [N]"
        )
    return found


def named(argument: str, specs: Any) -> Any:
    """Returns specs of batches of tasks, named as a signature calls them.

    A single tensor is called `argument`, one of several `argument_key` by its keys or places.

    Args:
      argument: such as `support_inputs`.
      specs: of one example, a nested structure.

    Returns:
      The same structure, of shapes [None, None, ...]: tasks, and examples.

    Raises:
      InputError: if two tensors would have the same name.
    """
    flat = [
        tf.TensorSpec([None, None, *spec.shape], spec.dtype, name)
        for spec, name in zip(tf.nest.flatten(specs), names(argument, specs), strict=True)
    ]
    return tf.nest.pack_sequence_as(specs, flat)


def names(argument: str, structure: Any) -> list[str]:
    """Returns a name for each leaf of a nested structure, see `named`."""
    found = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in _names(argument, structure)]
    if len(set(found)) < len(found):
        raise InputError(
            f"{argument}: its tensors would be called {', '.join(found)} in the export; should "
            "have keys that differ"
        )
    return found


def _names(prefix: str, structure: Any) -> Iterator[str]:
    """Yields a name for each leaf, in the order of `tf.nest.flatten`."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from _names(f"{prefix}_{key}", structure[key])
    elif isinstance(structure, tuple | list):
        for place, part in enumerate(structure):
            yield from _names(f"{prefix}_{place}", part)
    else:
        yield prefix


def of_examples(specs: Any) -> Any:
    """Returns the specs of any number of examples, [None, ...], for those of one."""
    return tf.nest.map_structure(lambda s: tf.TensorSpec([None, *s.shape], s.dtype), specs)
