"""MANN: what is shown when, what is kept of it, and what training minimises."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.memory_network import initial_states, memory_network
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.mann import ORDER, TRAIN_ON, Mann
from trainers.seeds import fold_in, split_seed, uniform
from trainers.supervised.meta_gradient import mean_meta_gradient, meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

WAYS = 3
SIZES = {"units": 8, "slots": 6, "width": 4, "heads": 2}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def classifier(train_on="sequences", seed=0):
    network = memory_network((4,), WAYS, seed, **SIZES)
    metrics = {"accuracy": keras.metrics.sparse_categorical_accuracy}
    return Mann(network, LOSS, classes=True, metrics=metrics, train_on=train_on)


def regressor():
    return Mann(memory_network((4,), 1, 0, **SIZES), "mse", classes=False)


@tf.autograph.experimental.do_not_convert
def episode(seed):
    """Draws support and query examples of classes that noise hides a little."""
    centres = uniform(tf.stack([seed[0], 1]), [WAYS, 4])
    support, query = tf.constant([0, 0, 1, 1, 2, 2]), tf.constant([0, 1, 2])
    noise = 0.1 * uniform(seed, [9, 4])
    inputs = tf.gather(centres, tf.concat([support, query], 0)) + noise
    return Episode(inputs[:6], support, inputs[6:], query)


TASK = episode(tf.constant([1, 2]))
SEED = tf.constant([3, 4])


def shown(learner, inputs, labels):
    """Returns the outputs along a sequence of examples with these labels, and the last states."""
    previous = np.concatenate([np.zeros((1, labels.shape[1]), np.float32), labels[:-1]])
    given = {
        "inputs": tf.constant(inputs)[tf.newaxis],
        "previous": tf.constant(previous)[tf.newaxis],
        "states": initial_states(learner.model, 1),
    }
    outputs, states = learner.model(given)
    return outputs[0].numpy(), [state[0].numpy() for state in states]


def order_of(seed, count):
    return np.argsort(uniform(seed, [count]).numpy())


def as_labels(targets):
    return np.eye(WAYS, dtype=np.float32)[targets]


def test_the_support_set_is_shown_in_an_order_of_its_own_with_the_label_before():
    learner = classifier()
    order = order_of(tf.constant(ORDER), 6)
    assert not np.array_equal(order, range(6))
    inputs, targets = (part.numpy()[order] for part in TASK[:2])
    state = learner.adapt(*TASK[:2])
    _, states = shown(learner, inputs, as_labels(targets))
    for found, expected in zip(state["states"], states, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(state["previous"], as_labels(targets)[-1])


def test_a_query_is_what_comes_after_the_support_set():
    learner = classifier()
    order = order_of(tf.constant(ORDER), 6)
    inputs, targets = (part.numpy()[order] for part in TASK[:2])
    answers = learner.predict(learner.adapt(*TASK[:2]), TASK.query_inputs)
    for query, answer in zip(TASK.query_inputs, answers, strict=True):
        sequence = np.concatenate([inputs, query[np.newaxis]])
        # The label of the query itself is shown to no one.
        labels = np.concatenate([as_labels(targets), np.full((1, WAYS), np.nan, np.float32)])
        np.testing.assert_allclose(answer, shown(learner, sequence, labels)[0][-1], atol=1e-6)


def test_no_query_sees_another_and_nothing_remains_of_it():
    learner = classifier()
    state = learner.adapt(*TASK[:2])
    before = [value.numpy() for value in tf.nest.flatten(state)]
    together = learner.predict(state, TASK.query_inputs)
    for place in range(3):
        alone = learner.predict(state, TASK.query_inputs[place : place + 1])
        np.testing.assert_allclose(alone[0], together[place], atol=1e-6)
    backwards = learner.predict(state, TASK.query_inputs[::-1])
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-6)
    for old, new in zip(before, tf.nest.flatten(state), strict=True):
        np.testing.assert_array_equal(old, new)


def test_learning_and_answering_change_no_variable():
    learner = classifier()
    before = [variable.numpy() for variable in learner.model.variables]
    state = learner.adapt(*TASK[:2], training=True, seed=SEED)
    learner.score(state, *TASK[2:], training=True, seed=SEED)
    for old, new in zip(before, learner.model.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_before_the_support_set_it_answers_the_first_of_a_sequence():
    learner = classifier()
    unadapted, *adapted = learner.adapt_stepwise(*TASK[:2], 2)
    answers = learner.predict(unadapted, TASK.query_inputs)
    for query, answer in zip(TASK.query_inputs, answers, strict=True):
        first = shown(learner, query[np.newaxis], np.zeros((1, WAYS), np.float32))[0]
        np.testing.assert_allclose(answer, first[0], atol=1e-6)
    assert len(adapted) == 2
    for state in adapted:
        tf.nest.map_structure(np.testing.assert_array_equal, state, learner.adapt(*TASK[:2]))


def test_in_regression_targets_are_shown_as_they_are():
    learner = regressor()
    targets = np.linspace(-1, 1, 6, dtype=np.float32)[:, np.newaxis]
    found = learner.answer_sequence(TASK.support_inputs, tf.constant(targets))
    expected = shown(learner, TASK.support_inputs.numpy(), targets)[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_answered_in_a_sequence_depends_on_what_was_shown_before_only():
    learner = classifier()
    inputs, targets = TASK.support_inputs, TASK.support_targets
    answers = learner.answer_sequence(inputs, targets)
    other_label = learner.answer_sequence(inputs, tf.constant([0, 0, 1, 2, 2, 2]))
    np.testing.assert_allclose(other_label[:4], answers[:4], atol=1e-6)
    assert np.abs(other_label[4] - answers[4]).max() > 1e-5
    other_input = learner.answer_sequence(tf.concat([inputs[:4], inputs[:2]], 0), targets)
    np.testing.assert_allclose(other_input[:4], answers[:4], atol=1e-6)


def cross_entropy(outputs, targets):
    shares = np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True)
    return -np.log(shares[np.arange(len(targets)), targets])


def test_sequences_are_scored_at_every_step():
    learner = classifier("sequences")
    inputs, targets = np.concatenate([TASK[0], TASK[2]]), np.concatenate([TASK[1], TASK[3]])
    order = order_of(fold_in(SEED, -1), 9)
    outputs, _ = shown(learner, inputs[order], as_labels(targets[order]))
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    objective, scores, moving = learner.objective(values, TASK, SEED, tf.constant(0, tf.int64))
    np.testing.assert_allclose(objective, cross_entropy(outputs, targets[order]).mean(), rtol=1e-5)
    right = (outputs.argmax(-1) == targets[order]).mean()
    np.testing.assert_allclose(scores["accuracy"], right, rtol=1e-6)
    assert scores["loss"] == objective and moving == []


def test_episodes_are_scored_at_the_queries():
    learner = classifier("episodes")
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    objective, _, _ = learner.objective(values, TASK, SEED, tf.constant(0, tf.int64))
    state = learner.adapt(*TASK[:2], seed=SEED)
    outputs = learner.predict(state, TASK.query_inputs).numpy()
    expected = cross_entropy(outputs, TASK.query_targets.numpy()).mean()
    np.testing.assert_allclose(objective, expected, rtol=1e-5)
    again, _, _ = learner.objective(values, TASK, SEED + 1, tf.constant(0, tf.int64))
    assert abs(float(again) - float(objective)) > 1e-6  # Another order.


@pytest.mark.parametrize("train_on", TRAIN_ON)
def test_a_batch_of_tasks_has_the_mean_of_their_gradients(train_on):
    learner = classifier(train_on)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    seeds = tf.constant([[1, 2], [3, 4], [5, 6]])
    tasks = [episode(seed) for seed in seeds]
    together = mean_meta_gradient(
        learner,
        values,
        tf.nest.map_structure(lambda *parts: tf.stack(parts), *tasks),
        seeds,
        tf.constant(0),
    )
    each = [meta_gradient(learner, values, *task) for task in zip(tasks, seeds, strict=True)]
    mean = tf.nest.map_structure(lambda *parts: sum(parts) / 3, *each)
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), together, mean
    )


@pytest.mark.slow
def test_training_in_batches_is_training_task_by_task():
    trained = []
    for batching in ("auto", "side_by_side"):
        learner = classifier()
        # SGD, as Adam makes much of rounding.
        trainer = MetaTrainer(
            learner,
            episode,
            keras.optimizers.SGD(0.5),
            meta_batch_size=2,
            task_batching=batching,
        )
        trained.append([trainer.train(2), *(v.numpy() for v in learner.meta_variables)])
    (scores, *weights), (others, *other_weights) = trained
    assert scores == pytest.approx(others, rel=1e-4)
    for a, b in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_weights_from_outside_are_used_and_kept():
    learner = classifier()
    values = [tf.convert_to_tensor(variable) * 1.5 for variable in learner.meta_variables]
    moved = learner.predict(learner.adapt(*TASK[:2], values=values), TASK.query_inputs)
    for variable in learner.meta_variables:
        variable.assign(variable * 1.5)
    expected = learner.predict(learner.adapt(*TASK[:2]), TASK.query_inputs)
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_it_tells_how_much_a_query_takes():
    sizes = [8, 8, 2 * 4, 2 * 6, 6, 6 * 4]
    assert classifier().numbers_per_query == sum(sizes)


def test_an_unknown_objective_is_refused():
    with pytest.raises(InputError, match="train_on='all': should be one of sequences, episodes"):
        classifier("all")


def test_the_order_of_a_sequence_tells_nothing_of_a_task_that_was_drawn_by_the_same_seed():
    learner = regressor()
    seeds = split_seed(SEED, 64)
    inputs = tf.stack([uniform(seed, [8, 1]) for seed in seeds])
    tasks = Episode(inputs[:, :4], inputs[:, :4], inputs[:, 4:], inputs[:, 4:])
    met = []

    def shown(values, inputs, targets, *, training):
        met.append(inputs[..., 0].numpy())
        return Mann._shown(learner, values, inputs, targets, training=training)

    learner._shown = shown
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    # The network takes four numbers.
    wide = tasks._replace(
        support_inputs=tf.repeat(tasks.support_inputs, 4, -1),
        query_inputs=tf.repeat(tasks.query_inputs, 4, -1),
    )
    learner.mean_objective(values, wide, seeds, tf.constant(0, tf.int64))
    places = np.arange(8)
    ranks = np.argsort(np.argsort(met[0], axis=1), axis=1)
    np.testing.assert_array_equal(np.sort(met[0], axis=1), np.sort(inputs[..., 0], axis=1))
    # Of 64 tasks the mean correlation is 0 with a standard deviation of 1 / sqrt(7 * 64) = 0.05.
    correlations = [np.corrcoef(places, row)[0, 1] for row in ranks]
    assert abs(np.mean(correlations)) < 0.2


def test_a_model_without_a_memory_is_refused():
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(WAYS)], name="plain")
    with pytest.raises(InputError, match="model='plain': has no memory"):
        Mann(plain, LOSS, classes=True)


@pytest.mark.parametrize("layer", [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)])
def test_an_embedding_whose_outputs_depend_on_more_than_an_example_is_refused(layer):
    embedding = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), layer])
    network = memory_network((4,), WAYS, 0, embedding, **SIZES)
    with pytest.raises(InputError, match="model='memory_network': its embedding has batch norm"):
        Mann(network, LOSS, classes=True)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_memory_of_half_precision_is_refused(kind):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{kind}")
    try:
        network = memory_network((4,), WAYS, 0, **SIZES)
    finally:
        keras.config.set_dtype_policy(before)
    with pytest.raises(InputError, match=f"computes in {kind} and .* has no half precision"):
        Mann(network, LOSS, classes=True)
