"""What ends a training: numbers that are not finite, and models that cannot be trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.mlp import mlp
from tests.trainers.supervised.trainers_of_curves import (
    TASKS,
    all_variables,
    anew,
    from_the_start,
    state,
    trainer,
)
from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, split_seed, stream
from trainers.supervised.diagnosis import explain_divergence
from trainers.supervised.meta_trainer import MetaTrainer


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_number_that_is_not_finite_stops_at_its_iteration(jit_compile):
    # The second task of the iteration `poisoned`, counted from 0, is not finite.
    poisoned = tf.Variable(400)

    def tasks(seed):
        episode = TASKS(seed)
        bad_seed = split_seed(fold_in(stream(0, "train"), poisoned), 2)[1]
        poison = tf.where(tf.equal(seed[0], bad_seed[0]), np.float32("nan"), 0.0)
        return episode._replace(query_targets=episode.query_targets + poison)

    made = trainer(tasks=tasks, meta_batch_size=2, jit_compile=jit_compile)
    start = [tf.convert_to_tensor(variable) for variable in all_variables(made)]
    made.train(4)
    expected = state(made)
    poisoned.assign(4)
    from_the_start(made, start)
    with pytest.raises(DivergedError, match="meta-iteration 5 .*own query_targets.*task 1"):
        made.train(10)
    assert int(made.iteration.numpy()) == 4
    for a, b in zip(state(made), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_divergence_names_its_cause():
    made = anew()
    for rate in made.learner.alpha.rates:
        rate.assign(tf.fill(rate.shape, 1e30))
    with pytest.raises(DivergedError, match=r"loss is (inf|nan) after 1 inner step.*alpha_init"):
        made.train(3)


class TwoHeads(keras.Model):
    """A network one of whose heads is left alone."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = keras.layers.Dense(1), keras.layers.Dense(2, name="unused")

    def build(self, shape):
        self.used.build(shape)
        self.unused.build(shape)
        self.built = True

    def call(self, x):
        return self.used(x)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_errors_of_ours_are_themselves_from_within_a_graph(jit_compile):
    model = TwoHeads()
    model.build((None, 1))
    made = trainer(model=model, jit_compile=jit_compile)
    episode = TASKS(tf.constant([1, 2]))
    converted = tf.function(lambda: made.learner.adapt(*episode[:2]))
    for function in (lambda: made.train(1), converted):
        with pytest.raises(InputError, match=r"^the loss does not depend on the weight [^\n]*$"):
            function()


def normal_numbers(seed):
    """Draws what XLA draws otherwise from the same seed, and sometimes no numbers."""
    x = tf.random.stateless_normal([6, 1], seed)
    bad = tf.random.stateless_normal([], seed) > 1.3
    y = tf.where(bad, float("nan"), x)
    return Episode(x[:3], y[:3], x[3:], y[3:])


def test_a_divergence_is_explained_by_the_task_that_was_met():
    made = trainer(tasks=normal_numbers, jit_compile=True)
    cause = r"the task's own support_targets are not finite \(task \d of the meta-batch\)"
    with pytest.raises(DivergedError, match=cause):
        made.train(100)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["support_inputs", "support_targets", "query_inputs"])
def test_bad_numbers_anywhere_in_a_task_are_named(part, bad):
    """One number, so that what it meets first, such as a maximum, may pass it over."""

    def tasks(seed):
        episode = TASKS(seed)
        values = getattr(episode, part)
        one = tf.one_hot(2, values.shape[0], np.float32(bad), np.float32(0))
        return episode._replace(**{part: values + one[:, tf.newaxis]})

    made = trainer(tasks=tasks, meta_batch_size=1)
    before = state(made)
    with pytest.raises(DivergedError, match=f"meta-iteration 1 was not finite: .*own {part} are"):
        made.train(2)
    assert int(made.iteration.numpy()) == 0
    for a, b in zip(state(made), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("iterations", [1, 3])
def test_an_outer_step_that_overflows_is_refused_at_its_iteration(iterations):
    """Also where it is the last one, after which nothing else would find out."""
    made = anew()
    made.optimizer.learning_rate.assign(np.inf)
    told = "meta-iteration [12] was not finite: (its outer step left|the variable)"
    with pytest.raises(DivergedError, match=told):
        made.train(iterations)
    assert int(made.iteration.numpy()) == 1


class Unmoved(keras.losses.Loss):
    """A loss of 1 whatever the outputs are."""

    def call(self, targets, outputs):
        return 1.0 + 0.0 * tf.reduce_sum(targets - outputs, axis=-1)


def test_a_gradient_of_zero_changes_nothing_and_is_no_error():
    model = mlp((1,), 1, seed=0, hidden=(4,))
    learner = MetaLearner(model, Unmoved(reduction="none"), alpha_init=0.1)
    optimizer = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    made = MetaTrainer(learner, TASKS, optimizer, meta_batch_size=1, jit_compile=False)
    before = state(made)
    assert made.train(2) == {"loss": 1.0, "meta_gradient_norm": 0.0}
    for a, b in zip(state(made), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_outer_loss_that_is_not_finite_is_named():
    def outer_loss(targets, outputs):
        return tf.sqrt(-1.0 - tf.reduce_sum(tf.square(targets - outputs), axis=-1))

    model = mlp((1,), 1, seed=0, hidden=(4,))
    learner = MetaLearner(model, "mse", alpha_init=0.01, outer_loss=outer_loss)
    made = MetaTrainer(learner, TASKS, meta_batch_size=1, jit_compile=False)
    told = "the outer loss is nan, though the query loss is finite .task 0 of the meta-batch.$"
    with pytest.raises(DivergedError, match=told):
        made.train(1)


def test_a_loss_that_is_not_finite_by_dropout_alone_is_named():
    """Of the ones that it leaves out of eight it makes 0, of which this takes the inverse."""
    inverse = keras.layers.Lambda(lambda x: 1.0 / x)
    layers = [keras.layers.Dense(8), keras.layers.Rescaling(0.0, 1.0), keras.layers.Dropout(0.9)]
    model = keras.Sequential([keras.Input((1,)), *layers, inverse, keras.layers.Dense(1)])
    made = MetaTrainer(
        MetaLearner(model, "mse", first_order=True), TASKS, meta_batch_size=1, jit_compile=False
    )
    with pytest.raises(DivergedError, match=r"the query loss is (inf|nan) with its dropout"):
        made.train(1)


def test_learners_without_rates_name_their_loss_and_no_rate():
    scale = keras.layers.Rescaling(1e30)
    embedding = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), scale])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = PrototypicalNets(embedding, loss, 2, train_ways=3)
    inputs, targets = tf.reshape(tf.range(6.0), [3, 2]), tf.range(3)
    episode = Episode(inputs, targets, inputs + 1.0, targets)
    cause = explain_divergence(learner, lambda seed: episode, tf.constant([[1, 2]]))
    assert cause == "the loss is nan; try a smaller meta_learning_rate (task 0 of the meta-batch)"
