"""This project, through the same classes that a run uses."""

import functools
import tempfile
from collections.abc import Callable

from metasgd_tf.process_environment import prepare_process

prepare_process()

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness import cases
from metasgd_tf.environments.navigation import Navigation2D
from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.flags import run_flags
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.images.images_by_class import ImagesByClass
from metasgd_tf.serving.writing import export
from metasgd_tf.tasks.navigation import Navigation
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.conv4 import conv4
from trainers.checkpoints.loading import Origin
from trainers.devices import sum_in_chunks, use_cores_for_tasks
from trainers.families import Family, Part
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.advantages import Advantages
from trainers.policies.rollouts import Collector
from trainers.seeds import fold_in, split_seed, stream
from trainers.supervised.meta_trainer import MetaTrainer


def build(case: cases.Case) -> Callable[[int, int], float]:
    """Prepares a case.

    Returns:
      A function that makes meta-iterations [first, first + count), one after the other from 0, and
      returns their mean meta-loss; in navigation minus the mean return before the inner step.
    """
    use_cores_for_tasks()
    if case.kind == "reinforcement":
        return _reinforcement(case)
    family = family_of(case)
    learner = learner_of(case, family)
    trainer = MetaTrainer(learner, family.sampler("train"), meta_batch_size=case.tasks)

    def run(first: int, count: int) -> float:
        assert first == int(trainer.iteration.numpy())
        return trainer.train(count)["loss"]

    return run


def evaluating(case: cases.Case, tasks: int) -> Callable[[], object]:
    """Prepares an evaluation by the protocol of `metasgd_tf.evaluate`.

    Args:
      case: A classification case.
      tasks: Number of tasks to evaluate the initial weights on.

    Returns:
      A function that evaluates.
    """
    family = family_of(case)
    (protocol,) = family.protocols(tasks)
    part = Part("train", stream(0, "test"))
    return family.evaluation(learner_of(case, family), protocol, [part])


def feeding(
    case: cases.Case, held: ImagesByClass
) -> tuple[Callable[[int], object], Callable[[int, int], object]]:
    """Prepares training on given images, and drawing a meta-iteration's tasks alone.

    Args:
      case: A classification case.
      held: The images of the training classes.

    Returns:
      A function that makes a number of meta-iterations, and one that draws the tasks of
      meta-iterations [first, first + count), side by side as in training.
    """
    use_cores_for_tasks()
    family = Omniglot({"train": held}, case.ways, case.shots, case.queries)
    trainer = MetaTrainer(
        learner_of(case, family), family.sampler("train"), meta_batch_size=case.tasks
    )
    task = tf.function(family.sampler("train"), experimental_attributes={"_noinline": True})

    def corners(seeds: tf.Tensor) -> tf.Tensor:
        drawn = [task(seed) for seed in tf.unstack(seeds)]
        return tf.add_n([t.support_inputs[0, 0] + t.query_inputs[0, 0] for t in drawn])

    @tf.function(autograph=False)
    def drawn_at(number: tf.Tensor) -> tf.Tensor:
        seeds = split_seed(fold_in(stream(0, "train"), number), case.tasks)
        return sum_in_chunks(corners, seeds)

    def draw(first: int, count: int) -> None:
        for number in range(first, first + count):
            drawn_at(tf.constant(number)).numpy()

    return trainer.train, draw


def _reinforcement(case: cases.Case) -> Callable[[int, int], float]:
    family = _navigation(case)
    adam = keras.optimizers.Adam(cases.OUTER_LEARNING_RATE)
    learner = learner_of(case, family)
    trainer = family.trainer(learner, adam, meta_batch_size=case.tasks, seed=0)

    def run(first: int, count: int) -> float:
        assert first == int(trainer.iteration.numpy())
        return -trainer.train(count)["return_before"]

    return run


def rolling_out(case: cases.Case) -> Callable[[int], float]:
    """Prepares collecting trajectories with the initial weights, as before the inner step.

    Args:
      case: A case of navigation.

    Returns:
      A function of a number, which serves as the seed, that collects the trajectories of all tasks
      and returns their mean return.
    """
    use_cores_for_tasks()
    family = _navigation(case)
    learner = learner_of(case, family)
    collect = Collector(family.environment(case.tasks), learner.pure_model)

    @tf.function(autograph=False)
    def rolled_out(number: tf.Tensor) -> tf.Tensor:
        seed = fold_in(stream(0, "train"), number)
        weights = [tf.repeat(w.value[tf.newaxis], case.tasks, axis=0) for w in learner.theta]
        return tf.reduce_mean(collect(weights, split_seed(seed, case.tasks), seed).returns())

    return lambda number: float(rolled_out(tf.constant(number)))


def answering(
    case: cases.Case, inputs: np.ndarray, targets: np.ndarray, queries: np.ndarray
) -> Callable[[], np.ndarray]:
    """Exports the case's learner with its initial weights, and loads the export.

    Args:
      case: A classification case.
      inputs: Support inputs of a request, [tasks, examples, size, size, channels].
      targets: Support targets, [tasks, examples].
      queries: Query inputs, [tasks, queries, size, size, channels].

    Returns:
      A function that sends the request and returns the probabilities [tasks, queries, ways].
    """
    use_cores_for_tasks()
    family = family_of(case)
    settings = run_flags.resolve(run_flags.parse(["--task=omniglot"]))
    learner = learner_of(case, family)
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


def learner_of(case: cases.Case, family: Family) -> MetaLearner:
    """Makes a case's learner with the weights that every system begins with."""
    learner = MetaLearner(_model(case, family), family.loss, alpha_init=cases.ALPHA)
    for variable, value in zip(learner.theta, cases.initial_weights(case), strict=True):
        variable.assign(value)
    return learner


def _navigation(case: cases.Case) -> Navigation:
    assert case.shots == case.queries
    environment = functools.partial(Navigation2D, trajectories=case.shots, horizon=case.horizon)
    advantages = Advantages(cases.DISCOUNT, cases.TRACE)
    return Navigation(environment, case.shots, advantages=advantages, outer_advantages=advantages)


def family_of(case: cases.Case) -> Sinusoid | ImageClassification:
    """Makes a case's tasks, of regression or classification."""
    if case.kind == "regression":
        return Sinusoid(case.shots, case.queries)
    return Omniglot({"train": cases.image_pool(case)}, case.ways, case.shots, case.queries)


def _model(case: cases.Case, family: Family) -> keras.Model:
    if case.kind != "classification":
        return family.model(0)
    return conv4(family.input_shape, case.ways, 0, filters=case.filters, pooling=case.pooling)
