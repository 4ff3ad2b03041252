"""Accuracy by presentation, counted by hand on images that say which class they are."""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation import presentations
from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.flags import run_flags
from metasgd_tf.images import classification
from metasgd_tf.images.images_by_class import ImagesByClass
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.memory_network import memory_network
from tests.metasgd_tf.images.coded_images import Coded
from trainers.checkpoints.loading import Origin
from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.learners.mann import Mann
from trainers.seeds import fold_in, stream, uniform

NAMES = ("ant", "bee", "cat", "dog", "elk")
COUNTS = (4, 5, 6, 12, 7)
WAYS, TASKS = 3, 12


@pytest.fixture(scope="module")
def family():
    numbers = [(label, number) for label, count in enumerate(COUNTS) for number in range(count)]
    images = np.array(numbers, np.uint8).reshape(-1, 1, 2, 1)
    return Coded({"test": ImagesByClass(images, COUNTS, NAMES)}, WAYS, 1, 1)


class Knowing(Mann):
    """Knows a class from its third presentation on, and bees never; else it answers wrongly."""

    def answer_sequence(self, inputs, targets):
        before = tf.cast(targets[:, tf.newaxis] == targets, tf.int32)
        times = tf.reduce_sum(tf.linalg.band_part(before, -1, 0), axis=1)
        bee = tf.round(inputs[:, 0, 0, 0] * 255) == NAMES.index("bee")
        known = (times >= 3) & ~bee
        return tf.one_hot(tf.where(known, targets, (targets + 1) % WAYS), WAYS)


def run_of(family, learner, *flags):
    settings = run_flags.resolve(run_flags.parse(["--task=image_folder", *flags]))
    return LoadedRun("run", settings, "image_folder", family, learner, "last", Origin(1, 1.0))


@pytest.fixture(scope="module")
def run(family):
    network = memory_network((1, 2, 1), WAYS, 0, units=2, slots=3, width=2, heads=1)
    return run_of(family, Knowing(network, family.loss, classes=True), "--algorithm=mann")


def sequences(family, seed, images):
    for number in range(TASKS):
        given = fold_in(stream(seed, "test"), tf.constant(number))
        inputs, targets = family.sequence(given, "test", images)
        pixels = np.rint(inputs.numpy() * 255).astype(int)[:, 0, :, 0]
        yield pixels, targets.numpy()


def test_a_sequence_shows_as_many_images_of_each_class_in_a_random_order(family):
    orders = set()
    for pixels, targets in sequences(family, 0, 4):
        np.testing.assert_array_equal(np.bincount(targets), [4] * WAYS)
        assert len({tuple(image) for image in pixels}) == 4 * WAYS
        for target in range(WAYS):
            assert len(set(pixels[targets == target, 0])) == 1
        orders.add(tuple(targets))
    assert len(orders) == TASKS


def test_the_order_of_a_sequence_tells_nothing_of_the_tasks_alphabet(family, monkeypatch):
    met = []

    def noted(seed, shape):
        met.append(tuple(seed.numpy()))
        return uniform(seed, shape)

    monkeypatch.setattr(classification, "uniform", noted)
    seed = tf.constant([1, 2])
    family.sequence(seed, "test", 4)
    of_alphabet = tuple(fold_in(seed, 2).numpy())  # See `alphabets.of_one_alphabet`.
    assert len(met) == len(set(met)) and of_alphabet not in met


def test_accuracies_are_those_of_a_count_by_hand(run, family):
    right = np.zeros((TASKS, 4))
    for task, (pixels, targets) in enumerate(sequences(family, 7, 4)):
        times = dict.fromkeys(range(WAYS), 0)
        for (label, _), target in zip(pixels, targets, strict=True):
            if times[target] >= 2 and NAMES[label] != "bee":
                right[task, times[target]] += 1 / WAYS
            times[target] += 1
    # Classes of the test split have as few as 4 images.
    rows = presentations.presentations(run, num_tasks=TASKS, eval_seed=7)
    assert [row["presentation"] for row in rows] == [1, 2, 3, 4]
    for row, accuracies in zip(rows, right.T, strict=True):
        assert row["num_tasks"] == TASKS
        assert row["mean"] == pytest.approx(accuracies.mean())
        assert row["ci95"] == pytest.approx(1.96 * accuracies.std(ddof=1) / np.sqrt(TASKS))
    assert 0 < rows[2]["mean"] < 1
    text = presentations.table(rows).splitlines()
    assert text[1].split() == ["presentation", "accuracy", "±", "95", "%", "CI", "tasks"]
    assert text[2].split() == ["1", "0.0000", "±", "0.0000", f"{TASKS}"]


def test_answers_are_sorted_by_how_often_their_class_had_been_shown():
    targets = np.array([[0, 1, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0]])
    answered = np.array([[0, 0, 1, 1, 0, 0], [1, 0, 1, 0, 0, 1]])
    found = presentations.by_presentation(targets, answered)
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0.5], [1.0, 0.5, 0.5]])


def test_other_learners_and_tasks_are_refused(run, family):
    class Other(Learner):
        adapt = meta_variables = predict = score = None

    other = run_of(family, Other(), "--algorithm=maml")
    with pytest.raises(InputError, match="presentations: algorithm=maml learns from a support set"):
        presentations.parts(other)
    settings = run_flags.parse(["--task=sinusoid", "--algorithm=mann"])
    with pytest.raises(InputError, match="presentations: --task=sinusoid is no classification of"):
        presentations.parts(run._replace(family=Sinusoid(5, 5), settings=settings))
