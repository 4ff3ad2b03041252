"""This project, through the same classes that a run uses."""

import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks import cases
from metasgd_tf import run_flags
from metasgd_tf.evaluation import LoadedRun
from metasgd_tf.picture_tasks import PictureClassification
from metasgd_tf.serving.writing import export
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.conv4 import conv4
from trainers.checkpoints import Origin
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
    learner = _learner(case, family)
    trainer = MetaTrainer(learner, family.sampler("train"), meta_batch_size=case.tasks)

    def run(first: int, count: int) -> float:
        assert first == int(trainer.iteration.numpy())
        return trainer.train(count)["loss"]

    return run


def answering(
    case: cases.Case, inputs: np.ndarray, targets: np.ndarray, queries: np.ndarray
) -> Callable[[], np.ndarray]:
    """Exports the case's learner with its first weights, and loads it.

    Args:
      case: A classification case.
      inputs: Support inputs of a request, [tasks, examples, size, size, channels].
      targets: Support targets, [tasks, examples].
      queries: Query inputs, [tasks, queries, size, size, channels].

    Returns:
      A function that sends the request and returns the probabilities [tasks, queries, ways].
    """
    use_cores_for_tasks()
    family = _family(case)
    settings = run_flags.resolve(run_flags.parse(["--task=omniglot"]))
    learner = _learner(case, family)
    run = LoadedRun("", settings, settings.task, family, learner, "last", Origin(0, 0.0))
    with tempfile.TemporaryDirectory() as folder:
        loaded = tf.saved_model.load(str(export(run, folder)))

    def answer() -> np.ndarray:
        reply = loaded.signatures["serving_default"](
            support_inputs=tf.constant(inputs),
            support_targets=tf.constant(targets),
            query_inputs=tf.constant(queries),
        )
        return reply["probabilities"].numpy()

    return answer


def _learner(case: cases.Case, family: Sinusoid | PictureClassification) -> MetaLearner:
    learner = MetaLearner(_model(case, family), family.loss, alpha_init=cases.ALPHA)
    for variable, value in zip(learner.theta, cases.initial_weights(case), strict=True):
        variable.assign(value)
    return learner


def _family(case: cases.Case) -> Sinusoid | PictureClassification:
    if case.kind == "regression":
        return Sinusoid(case.shots, case.queries)
    return Omniglot({"train": cases.image_pool(case)}, case.ways, case.shots, case.queries)


def _model(case: cases.Case, family: Sinusoid | PictureClassification) -> keras.Model:
    if case.kind == "regression":
        return family.model(0)
    return conv4(family.input_shape, case.ways, 0, filters=case.filters, pooling=case.pooling)
