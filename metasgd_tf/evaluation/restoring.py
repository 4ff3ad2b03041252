"""Restores the learner of a run from its checkpoint."""

import pathlib

import tensorflow as tf
from absl import flags

from metasgd_tf.output.notes import note
from metasgd_tf.runs.learners import build_learner
from trainers.checkpoints.files import newest_whole
from trainers.checkpoints.loading import KINDS, Origin, restore_learner
from trainers.errors import InputError
from trainers.families import Family
from trainers.learners.learner import Learner


def restored_learner(
    family: Family,
    settings: flags.FlagValues,
    model_dir: str,
    checkpoint: str = "last",
    of_network: Family | None = None,
    flag: str = "model_dir",
) -> tuple[Learner, Origin]:
    """Restores the learner of a run, with the iteration and training time of its checkpoint.

    Args:
      family: the tasks it is for.
      settings: the run's flags.
      model_dir: the run's directory.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.
      of_network: see `build_learner`.
      flag: the flag that names the directory, for error messages.

    Raises:
      InputError: if there is no checkpoint, its network is for tasks of another shape, or it holds
        other variables than the learner has.
    """
    path = _found(model_dir, checkpoint, flag)
    learner = build_learner(family, settings, of_network)
    try:
        try:
            return learner, restore_learner(learner, path)
        except tf.errors.NotFoundError:
            # A training beside this has replaced it while the learner was built.
            return learner, restore_learner(learner, _found(model_dir, checkpoint, flag))
    except InputError:
        raise
    except ValueError as error:
        of = f", model={settings.model}," if settings.model else ""
        raise InputError(
            f"task={settings.task}: its network{of} differs in shape from the one in "
            f"{flag}={model_dir}; should be as it was in training, for tasks of the same input "
            "shape and ways"
        ) from error


def _found(model_dir: str, checkpoint: str, flag: str) -> str:
    path, damaged = newest_whole(_folder(model_dir, checkpoint))
    for other in damaged:
        note(f"{other} is damaged; using an earlier checkpoint")
    if path is None and checkpoint == "best" and newest_whole(_folder(model_dir, "last"))[0]:
        raise InputError(
            f"{flag}={model_dir}: holds no best checkpoint, as none was validated yet; take "
            "checkpoint=last, or go on with the training"
        )
    if path is None:
        raise InputError(f"{flag}={model_dir}: holds no checkpoint yet; train first")
    return path


def _folder(model_dir: str, checkpoint: str) -> str:
    return str(pathlib.Path(model_dir) / KINDS[checkpoint])
