"""Which classes are taken for which, counted by hand on images that say which class they are."""

import csv
import os

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation import confusion
from metasgd_tf.evaluation.confusion import Confusion
from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.flags import run_flags
from metasgd_tf.images.images_by_class import ImagesByClass
from metasgd_tf.tasks.sinusoid import Sinusoid
from tests.metasgd_tf.images.coded_images import Coded
from trainers.checkpoints.loading import Origin
from trainers.errors import InputError
from trainers.seeds import stream

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu")
COUNTS = (4, 5, 6, 7, 8, 9, 10)
WAYS, SHOTS, QUERIES, TASKS = 3, 1, 3, 20


@pytest.fixture(scope="module")
def family():
    numbers = [(label, number) for label, count in enumerate(COUNTS) for number in range(count)]
    images = np.array(numbers, np.uint8).reshape(-1, 1, 2, 1)
    return Coded({"test": ImagesByClass(images, COUNTS, NAMES)}, WAYS, SHOTS, 1)


def classes_of(inputs):
    return np.rint(np.asarray(inputs)[:, 0, 0, 0] * 255).astype(int)


class Learner:
    """Takes bees for the task's target 0, dogs from their third image on for 2; else it is right.

    After no step at all it answers 1.
    """

    def adapt(self, inputs, targets, *, steps=None):
        return [inputs, targets, steps]

    def predict(self, weights, inputs):
        support, targets, steps = weights
        if steps == 0:
            return tf.one_hot(tf.ones(tf.shape(inputs)[:1], tf.int32), WAYS)
        same = tf.abs(inputs[:, tf.newaxis, 0, 0, 0] - support[:, 0, 0, 0]) < 1e-4
        answers = tf.gather(targets, tf.argmax(tf.cast(same, tf.int32), axis=1))
        label, number = (tf.round(inputs[:, 0, place, 0] * 255) for place in (0, 1))
        answers = tf.where(label == NAMES.index("bee"), 0, answers)
        answers = tf.where((label == NAMES.index("dog")) & (number >= 2), 2, answers)
        return tf.one_hot(answers, WAYS)


@pytest.fixture(scope="module")
def run(family):
    settings = run_flags.parse(["--task=image_folder"])
    return LoadedRun("run", settings, "image_folder", family, Learner(), "last", Origin(1, 1.0))


def episodes(family, eval_seed):
    (protocol,) = family.protocols(TASKS)
    for number in range(TASKS):
        yield (
            number,
            family.evaluation_episode(
                stream(eval_seed, "test"), "test", protocol, tf.constant(number), tf.constant(0)
            ),
        )


def test_the_classes_of_a_task_are_those_that_its_images_show(family):
    for number, episode in episodes(family, eval_seed=4):
        classes = family.evaluation_classes(stream(4, "test"), "test", tf.constant(number))
        assert classes.dtype == tf.int32
        np.testing.assert_array_equal(classes, classes_of(episode.support_inputs))
    assert family.class_names("test") == NAMES


def test_counts_are_those_of_a_count_by_hand(run, family):
    expected = np.zeros((len(NAMES), len(NAMES)), int)
    for _, episode in episodes(family, eval_seed=2):
        in_task = classes_of(episode.support_inputs)
        pixels = np.rint(np.asarray(episode.query_inputs) * 255).astype(int)
        for label, number in pixels[:, 0, :, 0]:
            predicted = label
            if NAMES[label] == "bee":
                predicted = in_task[0]
            if NAMES[label] == "dog" and number >= 2:
                predicted = in_task[2]
            expected[label, predicted] += 1
    counted = confusion.confusion(run, num_tasks=TASKS, eval_seed=2)
    assert counted.classes == NAMES
    assert counted.counts.dtype == np.int64
    np.testing.assert_array_equal(counted.counts, expected)
    assert counted.counts.sum() == TASKS * WAYS * QUERIES
    assert 0 < counted.counts[1, 1] < counted.counts[1].sum()


def test_the_inner_steps_are_those_that_are_asked_for(run, family):
    predicted = np.zeros(len(NAMES), int)
    for _, episode in episodes(family, eval_seed=0):
        predicted[classes_of(episode.support_inputs)[1]] += WAYS * QUERIES
    counted = confusion.confusion(run, num_tasks=TASKS, inner_steps=0)
    np.testing.assert_array_equal(counted.counts.sum(axis=0), predicted)


def test_a_file_has_a_line_for_each_pair_that_came_up(tmp_path):
    counts = np.array([[3, 0, 2], [0, 0, 0], [1, 0, 0]])
    confusion.write(str(tmp_path), Confusion(("a, b", "c", "d"), counts))
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.csv"]
    with (tmp_path / "confusion.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["true_class", "predicted_class", "count"],
            ["a, b", "a, b", "3"],
            ["a, b", "d", "2"],
            ["d", "a, b", "1"],
        ]


def test_counts_by_another_protocol_have_a_file_of_their_own(tmp_path):
    for protocol in ("standard", "maml", "within_alphabet"):
        confusion.write(str(tmp_path), Confusion(("a",), np.array([[len(protocol)]])), protocol)
    found = {path.name: path.read_text().split()[1] for path in tmp_path.iterdir()}
    assert found == {
        "confusion.csv": "a,a,8",
        "confusion_maml.csv": "a,a,4",
        "confusion_within_alphabet.csv": "a,a,15",
    }


def test_the_worst_classes_are_ten_of_those_that_were_asked_for():
    names = tuple(f"class {number}" for number in range(14))
    counts = np.zeros((14, 14), np.int64)
    # Class n has 10 + n queries; n of these are right, but of 3 and 12 none, and 5 was never asked.
    for number in range(14):
        right = 0 if number in (3, 12) else number
        counts[number, number] = right
        counts[number, (number + 1) % 14] = 10 + number - right
    counts[5] = 0
    found = confusion.worst(Confusion(names, counts))
    assert [int(name.split()[1]) for name, _, _ in found] == [0, 3, 12, 1, 2, 4, 6, 7, 8, 9]
    assert found[2] == ("class 12", 0.0, 22)
    assert found[5] == ("class 4", pytest.approx(4 / 14), 14)
    title, head, *rows = confusion.table(Confusion(names, counts)).splitlines()
    assert title == "worst 10 classes after the last inner step"
    assert head.split() == ["class", "accuracy", "queries"]
    assert rows[5].split() == ["class", "4", "0.2857", "14"]
    assert len(rows) == 10


def test_regression_has_no_classes(run):
    sinusoid = run._replace(family=Sinusoid(5, 5), settings=run_flags.parse([]))
    with pytest.raises(InputError, match="confusion: --task=sinusoid has no classes"):
        confusion.confusion(sinusoid)


def test_names_that_cannot_be_written_are_shown_otherwise(tmp_path):
    counted = Confusion((os.fsdecode(b"d\xe9p"), "a\nb"), np.array([[3, 1], [0, 2]]))
    confusion.write(str(tmp_path), counted)
    with (tmp_path / "confusion.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [
            [r"d\xe9p", r"d\xe9p", "3"],
            [r"d\xe9p", r"a\nb", "1"],
            [r"a\nb", r"a\nb", "2"],
        ]
    _, _, *rows = confusion.table(counted).splitlines()
    assert [row.split() for row in rows] == [[r"d\xe9p", "0.7500", "4"], [r"a\nb", "1.0000", "2"]]
