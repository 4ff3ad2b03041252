"""Inner steps that are computed again: the same meta-gradient, from graphs that keep less."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.conv4 import conv4
from models.mlp import mlp
from trainers.episodes import Episode
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.meta_sgd import MetaLearner
from trainers.stateless.recomputing import recomputed
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.update_rule import gradients

SEED = tf.constant([3, 4])


def images():
    numbers = np.random.default_rng(1)
    inputs = [tf.constant(numbers.random((4, 8, 8, 1)), tf.float32) for _ in range(2)]
    targets = tf.constant([0, 1, 2, 0])
    return Episode(inputs[0], targets, inputs[1], targets)


def numbers():
    drawn = np.random.default_rng(1)
    return Episode(*(tf.constant(drawn.standard_normal((6, n)), tf.float32) for n in (2, 1) * 2))


def cross_entropy(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


CASES = {
    "conv4": (lambda: conv4((8, 8, 1), 3, 0, filters=4), cross_entropy, images),
    "mlp": (lambda: mlp((2,), 1, 0, hidden=(8, 8), stddev=0.5), "mse", numbers),
}


def gradients_of(case, **options):
    """Returns the meta-gradients without and with steps that are computed again."""
    build, loss, episode = CASES[case]
    learner = MetaLearner(build(), loss, alpha_init=0.1, **options)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]

    def found(remat):
        learner.remat = remat
        return meta_gradient(learner, values, episode(), SEED)[0]

    return found(False), found(True)


def assert_same(found, expected):
    size = tf.linalg.global_norm(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6 * float(size))


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("case", CASES)
def test_the_meta_gradient_is_the_same(case, steps, first_order, batch_norm):
    if case == "mlp" and batch_norm == "support":
        pytest.skip("it has no batch normalisation")
    options = {"inner_steps": steps, "first_order": first_order, "batch_norm": batch_norm}
    kept, again = gradients_of(case, **options)
    assert_same(again, kept)


def test_weights_that_inner_steps_leave_alone_keep_their_gradient():
    kept, again = gradients_of("mlp", inner_steps=3, adapted=[4, 5])
    assert all(np.any(value) for value in again)
    assert_same(again, kept)


def test_maml_plus_plus_computes_its_steps_again_too():
    found = []
    for remat in (False, True):
        build, loss, episode = CASES["conv4"]
        learner = MamlPlusPlus(build(), loss, inner_steps=2, multi_step_iterations=9, remat=remat)
        values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
        found.append(meta_gradient(learner, values, episode(), SEED)[0])
    assert_same(*found[::-1])


def test_a_function_with_a_gradient_inside_is_differentiated_through_it():
    def cube(x):  # x − (x⁴)' = x − 4 x³
        (slope,) = gradients(lambda w: tf.reduce_sum(w[0] ** 4), [x["x"]])
        return {"y": x["x"] - slope}

    at = tf.constant([0.5, -2.0])
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = recomputed(cube)({"x": at})["y"]
    np.testing.assert_allclose(value, [0.0, 30.0])
    np.testing.assert_allclose(tape.gradient(value, at), [1 - 12 * 0.25, 1 - 12 * 4.0])


@pytest.mark.slow
@pytest.mark.parametrize("task_batching", ["batched", "side_by_side"])
def test_training_is_the_same_in_every_way_of_running_it(task_batching):
    ends = []
    for remat in (False, True):
        build, loss, episode = CASES["mlp"]
        learner = MetaLearner(build(), loss, alpha_init=0.1, inner_steps=3, remat=remat)

        def tasks(seed, episode=episode):
            shift = tf.random.stateless_uniform([], seed)
            return tf.nest.map_structure(lambda part: part + shift, episode())

        trainer = MetaTrainer(learner, tasks, meta_batch_size=2, task_batching=task_batching)
        trainer.train(10)
        ends.append([variable.numpy() for variable in learner.meta_variables])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
