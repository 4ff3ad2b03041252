"""Checkpoints of a training, from which it resumes and its learner is loaded.

`DIRECTORY/checkpoints` has the last five states of a training, each with all that it depends on: θ,
α, the optimizer's state and the iteration. `DIRECTORY/best` has the best θ and α.

Where the optimizer keeps moving averages of θ and α (`use_ema`), these are what is validated and
what a learner is loaded with: `DIRECTORY/best` has them alone, and `DIRECTORY/checkpoints` both, as
training goes on with θ and α themselves.
"""

import contextlib
import math
import operator
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from trainers.checkpoints.files import (
    keep_newest,
    newest_whole,
    numbered,
    refuse_pattern,
)
from trainers.checkpoints.loading import AVERAGES, KINDS, refusing_other_variables
from trainers.errors import InputError
from trainers.replicas import every_optimizer
from trainers.supervised.meta_trainer import MetaTrainer

KEPT = 5
BETTER = {"min": operator.lt, "max": operator.gt}


class RunCheckpoints:
    """The checkpoints of a training.

    Attributes:
      best_score: the best validation score so far, a float64 `tf.Variable`; NaN before the first.
      seconds: how long the training has taken, a float64 `tf.Variable` for the caller to count up.
    """

    def __init__(self, trainer: MetaTrainer, directory: str, mode: str = "min"):
        """Prepares saving and restoring; does neither yet.

        Args:
          trainer: what is saved, and set by `restore`.
          directory: the run's directory.
          mode: whether the best score is the `min` or the `max`.

        Raises:
          InputError: for another mode, or a directory whose path TensorFlow takes for a pattern.
        """
        if mode not in BETTER:
            raise InputError(f"mode={mode!r}: should be one of {', '.join(BETTER)}")
        refuse_pattern(str(directory), "directory")
        self._trainer = trainer
        self._mode = mode
        self._directory = str(pathlib.Path(directory) / KINDS["last"])
        self.best_score = tf.Variable(math.nan, dtype=tf.float64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._passed: list[str] = []
        self._averages = [tf.Variable(variable) for variable in self._averaging()]
        averages = {AVERAGES: self._averages} if self._averages else {}
        kept = dict(learner=trainer.learner, iteration=trainer.iteration, seconds=self.seconds)
        state = {"optimizer": trainer.optimizer, "best_score": self.best_score}
        self._last = _manager(self._directory, KEPT, **kept, **averages, **state)
        if inner := getattr(trainer.optimizer, "optimizers", None):
            # Of a MultiOptimizer, whose own list of them Keras keeps from being saved.
            self._last.checkpoint.optimizers = list(inner)
        self._best = _manager(str(pathlib.Path(directory) / KINDS["best"]), 1, **kept)

    def exist(self) -> bool:
        """Returns whether the directory has any checkpoint, whole or damaged."""
        return bool(numbered(self._directory))

    def best_alone(self) -> int:
        """Returns the iteration of the best checkpoint if there is no other, 0 if there is."""
        return 0 if self.exist() else max(numbered(self._best.directory), default=0)

    def restore(self) -> list[str]:
        """Restores the newest undamaged checkpoint, if there is one.

        Returns:
          The paths of newer checkpoints, which are damaged.

        Raises:
          InputError: if there are checkpoints and all of them are damaged, or what the newest one
            holds is not what is trained.
        """
        path, damaged = newest_whole(self._directory)
        self._passed = damaged
        if path is not None:
            with refusing_other_variables(path):
                try:
                    self._last.checkpoint.restore(path).assert_consumed()
                except ValueError as error:
                    raise InputError(
                        f"{path}: holds variables of other shapes than this learner has; it was "
                        "saved with another network; use that one"
                    ) from error
        return damaged

    def save(self, score: float | None = None) -> None:
        """Saves the current state of the training.

        Args:
          score: the validation score, if there is one.

        Raises:
          InputError: if the directory has a checkpoint of a training that is further, and not
            damaged as `restore` found it: the next `restore` would set the trainer to that one.
        """
        number = int(self._trainer.iteration.numpy())
        found = numbered(self._directory)
        further = [other for other in found if other > number and found[other] not in self._passed]
        if further:
            raise InputError(
                f"{self._directory}: has iteration {max(further)} of a training, and this one is "
                f"at {number}; restore that first, or save this in another directory"
            )
        is_best = score is not None and self._is_best(score)
        if is_best:
            self.best_score.assign(score)
        with self.averaged():
            for average, variable in zip(self._averages, self._averaging(), strict=True):
                average.assign(variable)
            # A training that was killed right after this and has come here again finds it whole.
            if is_best and not (self._best.latest_checkpoint or "").endswith(f"/ckpt-{number}"):
                self._best.save(number)
        self._last.save(number)
        self.remove_older()

    def remove_older(self) -> None:
        """Removes what is no longer kept, up to the training's iteration, whole or in part.

        TensorFlow's managers do so too, but forget what they find to be of the future, after the
        clock was set back, and what a kill came upon while it was written or removed.
        """
        number = int(self._trainer.iteration.numpy())
        keep_newest(1, self._best.directory, number)
        keep_newest(KEPT, self._directory, number)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Gives the learner the moving averages of θ and α until the context ends, if there are."""
        # Before the first iteration there is nothing that they could be the averages of.
        variables = self._averaging() if self._trainer.iteration.numpy() else []
        kept = [tf.identity(variable) for variable in variables]
        if variables:
            self._trainer.optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def _averaging(self) -> list[keras.Variable | tf.Variable]:
        """Returns the variables that the optimizer keeps moving averages of.

        Where one of several optimizers does, these are all: the others' averages are the values.
        """
        for each in every_optimizer(self._trainer.optimizer):
            if getattr(each, "use_ema", False):  # A trust region, in place of one, has nothing.
                return self._trainer.learner.meta_variables
        return []

    def _is_best(self, score: float) -> bool:
        best = float(self.best_score.numpy())
        return math.isfinite(score) and (math.isnan(best) or BETTER[self._mode](score, best))


def _manager(directory: str, count: int, **kept: Any) -> tf.train.CheckpointManager:
    """Returns what saves to a directory, without the list there if that would be an error for it.

    A power cut leaves such a list, of no bytes or other ones; checkpoints are found by their files.
    """
    try:
        tf.train.get_checkpoint_state(directory)
    except ValueError:  # Also where the bytes are not UTF-8.
        (pathlib.Path(directory) / "checkpoint").unlink(missing_ok=True)
    return tf.train.CheckpointManager(tf.train.Checkpoint(**kept), directory, max_to_keep=count)
