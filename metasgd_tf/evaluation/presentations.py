"""The accuracy at the 1st, 2nd, … presentation of a class, as Santoro et al. 2016 report it.

A task's images of all classes are shown in a random order, ten of each class where there are as
many. Each is classified before its label is shown. The first one of a class cannot be known, and
yet is not a matter of chance, nor are the others without looking at them: as each class comes up
equally often, those that have been shown less are likelier. With 5 classes counting alone gives
46 % at the first presentation, 31 % at the second and 28 % at the fifth.

Source: Santoro et al. 2016, section 4.1 and Table 1.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.images.classification import EVALUATION_TASKS, ImageClassification
from metasgd_tf.output.text_table import aligned
from trainers.devices import TASKS_IN_FLIGHT
from trainers.errors import InputError
from trainers.learners.mann import Mann
from trainers.seeds import fold_in, stream
from trainers.supervised.evaluation import mean_and_ci95

IMAGES = 10
"""Of each class of a task."""


def parts(run: LoadedRun) -> tuple[Mann, ImageClassification]:
    """Returns the learner of a run and the tasks that it is evaluated on.

    Raises:
      InputError: if the learner is another than MANN, or the tasks are no images.
    """
    if not isinstance(run.learner, Mann):
        raise InputError(
            f"presentations: algorithm={run.settings.algorithm} learns from a support set, not "
            "from a sequence; leave --presentations out, or name a run of --algorithm=mann"
        )
    if not isinstance(run.family, ImageClassification):
        raise InputError(
            f"presentations: --task={run.settings.task} is no classification of images; leave "
            "--presentations out, or name a run that classifies images"
        )
    return run.learner, run.family


def presentations(
    run: LoadedRun, *, num_tasks: int | None = None, eval_seed: int = 0
) -> list[dict[str, Any]]:
    """Measures the accuracy at each presentation on test tasks.

    Args:
      run: a run.
      num_tasks: number of tasks; 600 if not given.
      eval_seed: the seed of the tasks.

    Returns:
      For each presentation its number, the mean over the tasks, the half-width of its 95 %
      confidence interval and the number of tasks.

    Raises:
      InputError: see `parts`.
    """
    learner, family = parts(run)
    images = min(IMAGES, family.smallest_class("test"))
    count = num_tasks or EVALUATION_TASKS
    seed = stream(eval_seed, "test")

    def one_task(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, targets = family.sequence(fold_in(seed, number), "test", images)
        answered = tf.argmax(learner.answer_sequence(inputs, targets), -1, tf.int32)
        return targets, answered

    @tf.function(autograph=False)
    def all_tasks() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.map_fn(
            one_task,
            tf.range(count),
            parallel_iterations=TASKS_IN_FLIGHT,
            fn_output_signature=(tf.int32, tf.int32),
        )

    rows = []
    scores = by_presentation(*(values.numpy() for values in all_tasks()))
    for number, accuracies in enumerate(scores.T, start=1):
        mean, ci95 = mean_and_ci95(accuracies)
        rows.append({"presentation": number, "mean": mean, "ci95": ci95, "num_tasks": count})
    return rows


def by_presentation(targets: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """Returns the share of classes that were right at each presentation, [tasks, presentations].

    Args:
      targets: the classes of sequences, [tasks, T]; in each every class comes up equally often.
      answered: the classes that were answered, [tasks, T].
    """
    # Sorted by class, those of a class stay in the order in which they were shown.
    order = np.argsort(targets, axis=1, kind="stable")
    right = np.take_along_axis(targets == answered, order, axis=1)
    classes = targets.max() + 1
    return right.reshape(len(targets), classes, -1).mean(axis=1)


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the accuracies as text."""
    lines = [("presentation", "accuracy ± 95 % CI", "tasks")]
    lines += [
        (f"{row['presentation']}", f"{row['mean']:.4f} ± {row['ci95']:.4f}", f"{row['num_tasks']}")
        for row in rows
    ]
    return f"accuracy by presentation of a class in a sequence\n{aligned(lines)}"
