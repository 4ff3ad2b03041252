"""Runs as training writes them, with the weights as they are drawn."""

import keras

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_trainer import MetaTrainer


def save_untrained(settings, model_dir, scores=None):
    """Writes a run as training does, with the weights as they are drawn.

    Args:
      settings: its flags.
      model_dir: its directory.
      scores: the validation scores by the iterations that are saved; iteration 2 without a score
        if not given.
    """
    settings = run_flags.resolve(settings)
    family = tasks.from_flags(settings, ["train"])
    learner = build_learner(family, settings)
    if isinstance(learner, MetaLearner):
        settings.alpha_init = learner.alpha.initial_value
    trainer = MetaTrainer(
        learner, family.sampler("train"), keras.optimizers.Adam(), meta_batch_size=1, seed=0
    )
    saved = RunCheckpoints(trainer, model_dir, family.metric_mode)
    for iteration, score in (scores or {2: None}).items():
        trainer.iteration.assign(iteration)
        saved.save(score)
    run_flags.write(settings, model_dir)
