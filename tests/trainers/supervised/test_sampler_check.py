"""What draws tasks is checked before training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
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
