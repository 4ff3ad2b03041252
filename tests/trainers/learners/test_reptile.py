"""Reptile against numbers worked out by hand.

The model is y = a x with squared error, so that for examples (x, y) the gradient is
g(a) = mean(2 x (a x − y)). With x = (1, 2) and y = (2, 2) it is 5 a − 6. At a = 2 it is 4:

  SGD, rate 0.1    a₁ = 2 − 0.4 = 1.6,  g = 2,  a₂ = 1.4
  Adam, rate 0.1   v₁ = 0.001 · 16, d₁ = √0.001 · 4 / √v₁ = 1,  a₁ = 1.9,  g = 3.5
                   v₂ = 0.999 v₁ + 0.001 · 12.25 = 0.028234,
                   d₂ = √(1 − 0.999²) · 3.5 / √v₂ = 0.931336,  a₂ = 1.806866
  an outer step, ε = 0.25: a = 2 + 0.25 (a₂ − 2) = 1.951718, and of this task v₂ is kept
  the next task    v₃ = 0.999 v₂ + 0.001 · 3.758583² = 0.042333, d₃ = 1.000069, a₁ = 1.851711
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.learners.reptile import Reptile, minibatches
from trainers.seeds import uniform
from trainers.supervised.gradient_check import check_meta_gradient
from trainers.supervised.meta_batch import WAYS, summed
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

X, Y = tf.constant([[1.0], [2.0]]), tf.constant([[2.0], [2.0]])
SEED = tf.constant([1, 2])


def reptile(**options):
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(2))
    model = keras.Sequential([keras.Input((1,)), dense])
    return Reptile(model, "mse", **{"inner_rate": 0.1, "inner_steps": 2, **options})


def a_of(weights):
    return float(tf.squeeze(weights[0]))


@pytest.mark.parametrize(
    ("optimizer", "walked"), [("sgd", (2, 1.6, 1.4)), ("adam", (2, 1.9, 1.806866))]
)
def test_inner_steps_are_those_worked_out_by_hand(optimizer, walked):
    learner = reptile(inner_optimizer=optimizer)
    states = learner.adapt_stepwise(X, Y, 2)
    np.testing.assert_allclose([a_of(state) for state in states], walked, rtol=1e-5)
    for steps, expected in enumerate(walked):
        assert a_of(learner.adapt(X, Y, steps=steps)) == pytest.approx(expected, rel=1e-5)
    assert a_of(learner.adapt(X, Y)) == pytest.approx(walked[2], rel=1e-5)


def test_adam_is_that_of_keras_without_momentum():
    random = np.random.default_rng(0)
    x, y = (tf.constant(random.standard_normal((6, n)), tf.float32) for n in (3, 2))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])
    states = Reptile(model, "mse", inner_rate=0.02).adapt_stepwise(x, y, 5)
    optimizer = keras.optimizers.Adam(0.02, beta_1=0.0, epsilon=1e-8)
    for state in states:
        for weight, variable in zip(state, model.trainable_variables, strict=True):
            np.testing.assert_allclose(weight, variable, rtol=1e-5, atol=1e-6)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def halves(seed=None):
    """A task whose first example is the support set and whose second one is the query set."""
    del seed
    return Episode(X[:1], Y[:1], X[1:], Y[1:])


def test_the_outer_gradient_is_the_way_back_from_both_sets():
    learner = reptile(inner_optimizer="sgd")
    (gradient,), scores, _ = meta_gradient(learner, [tf.constant([[2.0]])], halves(), SEED)
    assert a_of([gradient]) == pytest.approx(2 - 1.4, rel=1e-5)
    # The loss is shown on the query set, (1.4 · 2 − 2)².
    assert float(scores["loss"]) == pytest.approx(0.64, rel=1e-5)


def test_a_task_is_learned_from_its_support_set_alone_afterwards():
    # Of (1, 2) alone the gradient is 2 (a − 2), which is 0 at a = 2.
    assert a_of(reptile(inner_optimizer="sgd").adapt(X[:1], Y[:1])) == 2


@pytest.mark.parametrize("compiled", [False, True])
def test_a_meta_iteration_moves_the_start_by_epsilon_to_the_mean_of_the_ends(compiled):
    learner = reptile(inner_optimizer="sgd")

    def tasks(seed):
        # The second task's targets are twice those of the first: g = 5 a − 12, a₁ = 2.2, a₂ = 2.3.
        double = tf.cast(1 + seed[0] % 2, tf.float32)
        return Episode(X[:1], double * Y[:1], X[1:], double * Y[1:])

    ends = {1: 1.4, 2: 2.3}
    trainer = MetaTrainer(
        learner, tasks, keras.optimizers.SGD(0.25), meta_batch_size=4, jit_compile=compiled
    )
    seeds = trainer._task_seeds(tf.constant(0, tf.int64)).numpy()
    kinds = 1 + seeds[:, 0] % 2
    assert set(kinds) == {1, 2}
    expected = 2 + 0.25 * (np.mean([ends[kind] for kind in kinds]) - 2)
    trainer.train(1)
    assert a_of(learner.meta_variables) == pytest.approx(expected, rel=1e-5)


def test_adam_goes_on_with_the_mean_squares_of_the_tasks_before():
    learner = reptile(inner_optimizer="adam")
    MetaTrainer(learner, halves, keras.optimizers.SGD(0.25), meta_batch_size=2).train(1)
    taken, squares = learner.moving_variables
    assert float(taken) == 2 and a_of([squares]) == pytest.approx(0.028234, rel=1e-4)
    assert a_of(learner.adapt(X, Y, steps=1)) == pytest.approx(1.851711, rel=1e-6)


def test_tasks_of_an_iteration_leave_the_mean_of_their_mean_squares():
    learner = reptile(inner_optimizer="adam")
    # With targets twice as large g = 5 a − 12: −2 and, at a₁ = 2.1, −1.5.
    squares = [0.999 * 0.001 * first**2 + 0.001 * last**2 for first, last in ((4, 3.5), (-2, -1.5))]

    def tasks(seed):
        double = tf.cast(1 + seed[0] % 2, tf.float32)
        return Episode(X[:1], double * Y[:1], X[1:], double * Y[1:])

    trainer = MetaTrainer(learner, tasks, keras.optimizers.SGD(0.25), meta_batch_size=4)
    kinds = trainer._task_seeds(tf.constant(0, tf.int64)).numpy()[:, 0] % 2
    assert set(kinds) == {0, 1}
    trainer.train(1)
    expected = np.mean([squares[kind] for kind in kinds])
    assert a_of(learner.moving_variables[1:]) == pytest.approx(expected, rel=1e-4)


def test_a_rate_that_is_changed_counts_from_then_on():
    learner = reptile(inner_optimizer="sgd")
    assert a_of(learner.adapt(X, Y, steps=1)) == pytest.approx(1.6, rel=1e-5)
    learner.inner_rate = 0.2
    assert a_of(learner.adapt(X, Y, steps=1)) == pytest.approx(1.2, rel=1e-5)


def test_a_step_of_convolutions_is_traced_for_each_way_of_running():
    convolution = keras.layers.Conv2D(2, 2, name="conv")
    layers = [convolution, keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3, 3, 1)), *layers])
    learner = Reptile(model, "mse", inner_steps=2)

    @tf.function
    def tasks(seed):
        numbers = uniform(seed, [40])
        inputs = tf.reshape(numbers[:36], [4, 3, 3, 1])
        targets = tf.reshape(numbers[36:], [4, 1])
        return Episode(inputs[:2], targets[:2], inputs[2:], targets[2:])

    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    given = values, tf.constant([[1, 2], [3, 4]]), tf.constant(0, tf.int64)
    one, other = (summed(learner, tasks, way, "auto")(*given)[0] for way in (WAYS[-1], WAYS[0]))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("known", [True, False])
def test_minibatches_have_each_example_once_a_pass(known):
    steps, size, count = 6, 4, 10

    @tf.function(input_signature=[tf.TensorSpec([count if known else None], tf.int32)] * 2)
    def drawn(inputs, targets):
        batch = minibatches({"x": inputs}, targets, size, steps, SEED)
        return [(batch(step)[0]["x"], batch(step)[1]) for step in range(steps)]

    batches = drawn(tf.range(count), 100 + tf.range(count))
    for inputs, targets in batches:
        assert len(inputs) == size
        np.testing.assert_array_equal(targets, 100 + inputs)
    order = np.concatenate([inputs for inputs, _ in batches])
    passes = [list(order[:10]), list(order[10:20])]
    assert [sorted(one) for one in passes] == [list(range(10))] * 2
    assert passes[0] != passes[1] and passes[0] != list(range(10))


def test_the_first_minibatches_are_the_same_for_any_number_of_steps():
    few, many = (minibatches(tf.range(10), tf.range(10), 4, steps, SEED) for steps in (3, 20))
    for step in range(3):
        np.testing.assert_array_equal(few(step)[0], many(step)[0])


def test_fewer_examples_than_a_minibatch_are_one():
    batch = minibatches(X, Y, 10, 3, SEED)
    assert batch(2) == (X, Y)

    @tf.function(input_signature=[tf.TensorSpec([None, 1])] * 2)
    def of_unknown_number(x, y):
        return minibatches(x, y, 10, 3, SEED)(2)

    x, y = of_unknown_number(X, Y)
    assert sorted(x[:, 0].numpy()) == [1, 2] and y.shape == (2, 1)


def test_minibatches_differ_by_seed_in_training_and_are_fixed_elsewhere():
    x, y = tf.reshape(tf.range(8.0), [8, 1]), tf.ones([8, 1])
    learner = reptile(inner_optimizer="sgd", inner_rate=0.01, inner_batch=3)
    seeds = [None, None, tf.constant([0, 1]), tf.constant([0, 2])]
    fixed, again, one, other = (a_of(learner.adapt(x, y, seed=seed)) for seed in seeds)
    assert fixed == again and len({fixed, one, other}) == 3


def test_a_graph_of_many_steps_holds_what_a_step_does_once():
    learner = reptile(inner_batch=1)

    def functions(steps):
        traced = tf.function(lambda: learner.adapt_stepwise(X, Y, steps), autograph=False)
        return len(traced.get_concrete_function().graph.as_graph_def().library.function)

    assert functions(50) == functions(2) == 1


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_whose_statistics_a_query_is_normalised_by(batch_norm):
    norm = keras.layers.BatchNormalization(epsilon=1e-3)
    model = keras.Sequential([keras.Input((1,)), norm])
    learner = Reptile(model, "mse", batch_norm=batch_norm)
    found = learner.predict(learner.adapt(X, Y, steps=0), tf.constant([[3.0], [7.0]]))
    mean, variance = (5, 4) if batch_norm == "transductive" else (1.5, 0.25)
    expected = (np.array([[3], [7]]) - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_step_that_leads_to_infinity_is_named():
    trainer = MetaTrainer(reptile(inner_optimizer="sgd", inner_rate=1e30), halves)
    with pytest.raises(
        DivergedError, match=r"the query loss is inf after . inner step.*inner_rate"
    ):
        trainer.train(1)


def test_there_is_no_meta_gradient_to_check():
    with pytest.raises(InputError, match="check_gradients: the outer step of Reptile is no deriv"):
        check_meta_gradient(reptile(), halves())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"inner_optimizer": "lion"}, "inner_optimizer='lion': should be one of adam, sgd"),
        ({"inner_steps": 0}, "inner_steps=0: should be at least 1"),
        ({"inner_batch": 0}, "inner_batch=0: should be at least 1"),
        ({"batch_norm": "mine"}, "batch_norm='mine': should be one of transductive, support"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        reptile(**options)
