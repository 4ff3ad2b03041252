"""What draws tasks is checked before training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.embeddings.siamese_nets import SiameseNets
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised.meta_trainer import MetaTrainer


def by_seed(seed):
    x = uniform(seed, [6, 1])
    return Episode(x[:3], x[:3], x[3:], x[3:])


def by_numpy(seed):
    x = np.random.default_rng().random((6, 1)).astype(np.float32)
    return Episode(x[:3], x[:3], x[3:], x[3:])


def by_nothing(seed):
    x = tf.random.uniform([6, 1])
    return Episode(x[:3], x[:3], x[3:], x[3:])


def a_tuple(seed):
    return tuple(by_seed(seed))


def an_error(seed):
    raise KeyError("data")


def trained(tasks):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    made = MetaTrainer(MetaLearner(model, "mse"), tasks, jit_compile=False)
    made.train(1)


def of_numbers(support, query):
    """Returns tasks of these class numbers."""

    def tasks(seed):
        x = uniform(seed, [len(support) + len(query), 1])
        support_inputs, query_inputs = tf.split(x, [len(support), len(query)])
        return Episode(support_inputs, tf.constant(support), query_inputs, tf.constant(query))

    return tasks


def trained_on_numbers(loss, tasks, **options):
    """Trains a model of three outputs."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    learner = SiameseNets(model, ways=3) if loss is None else MetaLearner(model, loss)
    MetaTrainer(learner, tasks, jit_compile=False, **options).train(1)


def by_hand(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        (a_tuple, "tasks: returned a tuple; should return a trainers.Episode"),
        (an_error, "tasks: drawing one raised KeyError .*data.*; should return a trainers.Epis"),
    ],
)
def test_what_draws_no_episodes_is_refused(tasks, sentence):
    with pytest.raises(InputError, match=f"^{sentence}") as caught:
        trained(tasks)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "warning"),
    [
        (by_numpy, "tasks drawn by different seeds are the same; draw by the seed in TensorFlow"),
        (by_nothing, "tasks drawn twice by one seed differ, so that runs cannot be repeated"),
    ],
)
def test_tasks_that_do_not_follow_the_seed_are_warned_of(tasks, warning, caplog):
    trained(tasks)
    (record,) = caplog.records
    assert record.getMessage().startswith(warning)


def test_tasks_that_follow_the_seed_pass_silently(caplog):
    trained(by_seed)
    assert not caplog.records


@pytest.mark.parametrize("part", Episode._fields)
def test_a_task_without_examples_is_refused(part):
    """Of no examples the mean loss would be 0, and nothing would be learned without a word."""
    tasks = lambda seed: by_seed(seed)._replace(**{part: tf.zeros([0, 1])})  # noqa: E731
    with pytest.raises(InputError, match=f"^tasks: the {part} of a task that was drawn hold noth"):
        trained(tasks)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (None, {}),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), {}),
        (by_hand, {"classes": 3}),
    ],
)
@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (([0, 1, 2], [1, 2, 3]), "query_targets of a task that was drawn have class number 3; "),
        (
            ([0, -1, 2], [0, 1, 2]),
            "support_targets of a task that was drawn have class number -1; ",
        ),
    ],
)
def test_class_numbers_that_are_none_are_refused(loss, options, numbers, sentence):
    sentence = f"^tasks: the {sentence}should be from 0 to 2, as there are 3 classes$"
    with pytest.raises(InputError, match=sentence):
        trained_on_numbers(loss, of_numbers(*numbers), **options)


def test_numbers_that_are_no_classes_may_be_any():
    """Counts here, by a Poisson loss of three guesses; and a class that the loss ignores."""

    def poisson(targets, outputs):
        counts = tf.cast(targets, outputs.dtype)[:, tf.newaxis]
        return tf.reduce_mean(tf.exp(outputs) - counts * outputs, axis=-1)

    trained_on_numbers(poisson, of_numbers([0, 9], [4, 17]))
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    trained_on_numbers(ignoring, of_numbers([0, -1, 2], [1, 2, -1]))


def test_a_target_for_each_input_is_asked_for():
    """One for all of them would be taken for each without a word."""
    tasks = lambda seed: by_seed(seed)._replace(support_targets=tf.zeros([1, 1]))  # noqa: E731
    sentence = "support_inputs of 3 and support_targets of 1 examples; should be of equally many"
    with pytest.raises(InputError, match=f"^tasks: a task that was drawn has {sentence}$"):
        trained(tasks)
    pairs = {"a": tf.zeros([3, 1]), "b": tf.zeros([2, 1])}
    tasks = lambda seed: by_seed(seed)._replace(query_inputs=pairs)  # noqa: E731
    with pytest.raises(InputError, match=r"has query_inputs of 2, 3 and query_targets of 3 exam"):
        trained(tasks)
