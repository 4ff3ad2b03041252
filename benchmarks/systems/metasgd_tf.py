"""This project, through the same classes that a run uses."""

from collections.abc import Callable

import keras

from benchmarks import cases
from metasgd_tf.picture_tasks import PictureClassification
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.conv4 import conv4
from trainers.devices import use_cores_for_tasks
from trainers.learner import MetaLearner
from trainers.meta_trainer import MetaTrainer


def build(case: cases.Case) -> Callable[[int, int], float]:
    """Prepares a case.

    Returns:
      A function that makes meta-iterations [first, first + count), one after the other from 0, and
      returns the mean meta-loss of its last one.
    """
    use_cores_for_tasks()
    family = _family(case)
    learner = MetaLearner(_model(case, family), family.loss, alpha_init=cases.ALPHA)
    for variable, value in zip(learner.theta, cases.initial_weights(case), strict=True):
        variable.assign(value)
    trainer = MetaTrainer(learner, family.sampler("train"), meta_batch_size=case.tasks)

    def run(first: int, count: int) -> float:
        assert first == int(trainer.iteration.numpy())
        return trainer.train(count)["loss"]

    return run


def _family(case: cases.Case) -> Sinusoid | PictureClassification:
    if case.kind == "regression":
        return Sinusoid(case.shots, case.queries)
    return Omniglot({"train": cases.image_pool(case)}, case.ways, case.shots, case.queries)


def _model(case: cases.Case, family: Sinusoid | PictureClassification) -> keras.Model:
    if case.kind == "regression":
        return family.model(0)
    return conv4(family.input_shape, case.ways, 0, filters=case.filters, pooling=case.pooling)
