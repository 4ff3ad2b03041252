"""Saving and restoring what training has reached: θ, α, the optimizer's state and the iteration."""

import tensorflow as tf

from trainers.learner import MetaLearner
from trainers.meta_trainer import MetaTrainer


def manager(trainer: MetaTrainer, directory: str, keep: int = 5) -> tf.train.CheckpointManager:
    """Returns the manager of a training's checkpoints; its `save` writes one.

    Args:
      trainer: what is saved, and set by the manager's `restore_or_initialize`.
      directory: where the checkpoints are; made where missing.
      keep: how many of the last checkpoints stay.
    """
    checkpoint = tf.train.Checkpoint(
        learner=trainer.learner, optimizer=trainer.optimizer, iteration=trainer.iteration
    )
    return tf.train.CheckpointManager(
        checkpoint, directory, max_to_keep=keep, step_counter=trainer.iteration
    )


def restore_learner(learner: MetaLearner, path: str) -> int:
    """Sets θ and α, and the model's other variables, to those of a checkpoint.

    Args:
      learner: made with the same model and kind of α as the one that was saved.
      path: what `tf.train.latest_checkpoint` gives.

    Returns:
      The iteration at which the checkpoint was written.
    """
    iteration = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(learner=learner, iteration=iteration)
    checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    return int(iteration.numpy())
