"""The confusion matrix of a classifier over the classes of the test split."""

import csv
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from metasgd_tf.evaluation.reports import named
from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.shown_names import shown
from metasgd_tf.output.text_table import aligned
from metasgd_tf.runs.learners import kind_of
from trainers.devices import TASKS_IN_FLIGHT
from trainers.errors import InputError
from trainers.families import STANDARD
from trainers.seeds import stream

WORST = 10


class Confusion(NamedTuple):
    """How often each class was predicted for the queries of each class.

    Attributes:
      classes: the names of the test split's classes.
      counts: [classes, classes], int64: queries by their true class and by the predicted one.
    """

    classes: tuple[str, ...]
    counts: np.ndarray


def image_family(run: LoadedRun) -> ImageClassification:
    """Returns the task family that a run is evaluated on.

    Raises:
      InputError: if it does not classify images.
    """
    if not isinstance(run.family, ImageClassification):
        classifies = kind_of(run.family) == "classification"
        raise InputError(
            f"confusion: --task={run.settings.task} has no {'images' if classifies else 'classes'};"
            " leave --confusion out, or name a run that classifies images"
        )
    return run.family


def confusion(
    run: LoadedRun,
    *,
    num_tasks: int | None = None,
    eval_seed: int = 0,
    inner_steps: int | None = None,
) -> Confusion:
    """Counts a run's predictions after the last inner step on the tasks of `evaluation.evaluate`.

    A class can be confused only with another one of the same task.

    Args:
      run: a run.
      num_tasks: number of test tasks; the family's default if not given.
      eval_seed: the seed of the tasks.
      inner_steps: number of inner steps; as in training if not given.

    Raises:
      InputError: if the run does not classify images.
    """
    family = image_family(run)
    (protocol,) = family.protocols(num_tasks)
    seed = stream(eval_seed, "test")

    def one_task(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        episode = family.evaluation_episode(seed, "test", protocol, number, tf.constant(0))
        weights = run.learner.adapt(
            episode.support_inputs, episode.support_targets, steps=inner_steps
        )
        outputs = run.learner.predict(weights, episode.query_inputs)
        classes = family.evaluation_classes(seed, "test", number)
        return (
            tf.gather(classes, episode.query_targets),
            tf.gather(classes, tf.argmax(outputs, axis=-1, output_type=tf.int32)),
        )

    @tf.function(autograph=False)
    def all_tasks() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.map_fn(
            one_task,
            tf.range(protocol.num_tasks),
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature=(tf.int32, tf.int32),
        )

    true, predicted = (classes.numpy().ravel() for classes in all_tasks())
    names = family.class_names("test")
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return Confusion(names, counts)


def write(
    model_dir: str, counted: Confusion, protocol: str = STANDARD, cross_domain: bool = False
) -> None:
    """Writes the counts that are not 0 to `confusion.csv`, or as `named` calls it, for a run.

    Classes have the names that `shown` makes of those of their folders.
    """
    name = named("confusion", protocol, cross_domain)
    with replaced(pathlib.Path(model_dir) / f"{name}.csv") as file:
        writer = csv.writer(file)
        writer.writerow(["true_class", "predicted_class", "count"])
        for true, predicted in np.argwhere(counted.counts):
            names = shown(counted.classes[true]), shown(counted.classes[predicted])
            writer.writerow([*names, counted.counts[true, predicted]])


def worst(counted: Confusion) -> list[tuple[str, float, int]]:
    """Returns name, accuracy and number of queries of the ten classes of lowest accuracy.

    Classes that no task had are left out. Classes of equal accuracy stay in order.
    """
    queries = counted.counts.sum(axis=1)
    (asked,) = np.nonzero(queries)
    accuracy = np.diag(counted.counts)[asked] / queries[asked]
    return [
        (counted.classes[asked[place]], float(accuracy[place]), int(queries[asked[place]]))
        for place in np.argsort(accuracy, kind="stable")[:WORST]
    ]


def table(counted: Confusion) -> str:
    """Returns the worst classes as text."""
    rows = [("class", "accuracy", "queries")]
    rows += [(name, f"{accuracy:.4f}", f"{count}") for name, accuracy, count in worst(counted)]
    return f"worst {len(rows) - 1} classes after the last inner step\n{aligned(rows)}"
