"""Training in half precision: what is computed in it, what is not, and what an overflow does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import DivergedError, InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised.gradient_check import check_meta_gradient
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

HALF = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def network(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    try:
        return keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Conv2D(4, 3, use_bias=False),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Flatten(),
                keras.layers.Dense(2),
            ]
        )
    finally:
        keras.config.set_dtype_policy(before)


def task(seed):
    images = uniform(seed, [2, 4, 6, 6, 1])
    labels = tf.constant([0, 1, 0, 1])
    images += tf.cast(labels, tf.float32)[:, None, None, None]
    return Episode(images[0], labels, images[1], labels)


def trainer_of(policy, batch_norm="transductive", **options):
    learner = MetaLearner(network(policy), LOSS, alpha_init=0.05, batch_norm=batch_norm)
    return MetaTrainer(learner, task, meta_batch_size=2, **options)


def operations(learner, *names):
    """Returns the dtypes of the operations of these kinds in the graph of a meta-gradient."""
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]

    @tf.function(autograph=False)
    def step(seed):
        return meta_gradient(learner, values, task(seed), seed)[:2]

    graph = step.get_concrete_function(tf.TensorSpec([2], tf.int32)).graph
    return [one.get_attr("T") for one in graph.get_operations() if one.type in names]


@pytest.mark.parametrize("policy", HALF)
def test_convolutions_and_products_are_in_half_precision_and_nothing_kept_is(policy):
    trainer = trainer_of(policy, "support", jit_compile=False)
    learner = trainer.learner
    for names in (("Conv2D", "Conv2DBackpropFilter"), ("MatMul",)):
        types = operations(learner, *names)
        # Forward, backward, and each differentiated.
        assert len(types) >= 4 and set(types) == {HALF[policy]}, names
    before = [variable.numpy() for variable in learner.meta_variables]
    trainer.train(3)
    variables = [
        *learner.meta_variables,
        *learner.moving_variables,
        *(one for one in trainer.optimizer.variables if one.dtype != "int32"),
    ]
    kept = [one for one in variables if "iteration" not in getattr(one, "path", one.name)]
    assert {tf.as_dtype(variable.dtype) for variable in kept} == {tf.float32}
    assert all(np.isfinite(variable.numpy()).all() for variable in learner.meta_variables)
    assert any(
        (variable.numpy() != value).any()
        for variable, value in zip(learner.meta_variables, before, strict=True)
    )
    episode = task(tf.constant([1, 2]))
    state = learner.adapt(episode.support_inputs, episode.support_targets)
    scores, moving = learner.score(state, episode.query_inputs, episode.query_targets)
    # The state has the support set's statistics too.
    values = [*state, *scores.values(), *moving, learner.predict(state, episode.query_inputs)]
    assert len(state) > len(learner.theta)
    assert {value.dtype for value in values} == {tf.float32}


def test_an_iteration_that_overflows_is_done_again_with_half_the_scale():
    ends = {}
    for first in (2.0**24, 2.0**6):
        trainer = trainer_of("mixed_float16", jit_compile=False)
        trainer.learner.scale.value.assign(first)
        trainer.train(4)
        assert int(trainer.iteration.numpy()) == 4
        ends[first] = [variable.numpy() for variable in trainer.learner.meta_variables]
        scale = float(trainer.learner.scale.value)
        assert scale == first if first == 2.0**6 else 1 < scale < first
    # Powers of two round nothing: the same iterations, whatever was tried before.
    for one, other in zip(*ends.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02, atol=1e-3)


def test_what_is_not_finite_with_any_scale_is_refused_and_changes_nothing():
    trainer = trainer_of("mixed_float16", jit_compile=False)
    kernel = trainer.learner.theta[-2]
    kernel.assign(tf.fill(kernel.shape, 1e5))  # More than float16 has.
    before = [variable.numpy() for variable in trainer.learner.meta_variables]
    with pytest.raises(DivergedError, match="meta-iteration 1 was not finite"):
        trainer.train(2)
    for variable, value in zip(trainer.learner.meta_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_check_by_differences_is_refused_in_half_precision():
    learner = MetaLearner(network("mixed_bfloat16"), LOSS, alpha_init=0.05)
    with pytest.raises(InputError, match="computes in bfloat16.*check it in float32"):
        check_meta_gradient(learner, task(tf.constant([1, 2])))


@pytest.mark.slow
@pytest.mark.parametrize("policy", HALF)
def test_half_precision_is_batched_and_compiled_too(policy):
    trainer = trainer_of(policy, task_batching="batched")
    trainer.train(3)
    assert all(np.isfinite(variable.numpy()).all() for variable in trainer.learner.meta_variables)
