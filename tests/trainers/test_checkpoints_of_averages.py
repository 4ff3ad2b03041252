"""Where the optimizer keeps moving averages, these are scored and loaded, and training goes on.

Also where one of several optimizers does.
"""

import keras
import numpy as np
import tensorflow as tf

from tests.trainers.test_checkpoints import TASKS, assert_same, learner, state, trainer
from trainers.checkpoints.loading import restore_learner
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.supervised.meta_trainer import MetaTrainer


def averages_of(states, momentum):
    """Returns the moving averages of states, which begin with the first one."""
    average = states[0]
    for state_now in states[1:]:
        average = [
            momentum * a + (1 - momentum) * b for a, b in zip(average, state_now, strict=True)
        ]
    return average


def test_moving_averages_are_what_is_scored_and_loaded_and_not_what_is_trained(tmp_path):
    made, plain = trainer(momentum=0.75), trainer()
    saved = RunCheckpoints(made, str(tmp_path))
    with saved.averaged():
        assert_same(state(made.learner), state(plain.learner))  # There is nothing to average yet.
    states = []
    for _ in range(4):
        made.train(1)
        plain.train(1)
        states.append(state(made.learner))
        assert_same(states[-1], state(plain.learner))
    expected = averages_of(states, 0.75)
    with saved.averaged():
        for found, average in zip(state(made.learner), expected, strict=True):
            np.testing.assert_allclose(found, average, rtol=1e-6)
        seen = state(made.learner)
    saved.save(score=0.5)
    assert_same(state(made.learner), states[-1])
    for folder in ("checkpoints", "best"):
        other = learner(seed=1)
        restore_learner(other, tf.train.latest_checkpoint(str(tmp_path / folder)))
        assert_same(state(other), seen)


def test_going_on_with_moving_averages_equals_never_having_stopped(tmp_path):
    whole, first, second = (trainer(seed, momentum=0.9) for seed in (0, 0, 1))
    whole.train(6)
    first.train(2)
    RunCheckpoints(first, str(tmp_path)).save(score=0.5)
    saved = RunCheckpoints(second, str(tmp_path))
    assert saved.restore() == []
    second.train(4)
    assert_same(state(second.learner), state(whole.learner))
    pairs = zip(second.optimizer.variables, whole.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    with saved.averaged(), RunCheckpoints(whole, str(tmp_path / "whole")).averaged():
        assert_same(state(second.learner), state(whole.learner))


def with_two_optimizers(seed=0, momentum=None):
    """Returns a trainer of θ by Adam, which may keep averages, and of the rates by another one."""
    made = learner(seed)
    averaging = {} if momentum is None else {"use_ema": True, "ema_momentum": momentum}
    adam, of_rates = keras.optimizers.Adam(0.01, **averaging), keras.optimizers.RMSprop(0.001)
    theta = {id(variable) for variable in made.theta}
    optimizer = keras.optimizers.MultiOptimizer(
        lambda variable: adam if id(variable) in theta else of_rates
    )
    return MetaTrainer(made, TASKS, optimizer, meta_batch_size=2, jit_compile=False)


def test_going_on_with_several_optimizers_equals_never_having_stopped(tmp_path):
    whole, second = with_two_optimizers(0), with_two_optimizers(1)
    whole.train(3)
    RunCheckpoints(whole, str(tmp_path)).save()
    whole.train(3)
    assert RunCheckpoints(second, str(tmp_path)).restore() == []
    second.train(3)
    assert_same(state(second.learner), state(whole.learner))
    assert_same(second.optimizer.variables, whole.optimizer.variables)


def test_averages_of_one_of_several_optimizers_are_taken_beside_the_others_values(tmp_path):
    made = with_two_optimizers(momentum=0.75)
    saved = RunCheckpoints(made, str(tmp_path))
    states = []
    for _ in range(3):
        made.train(1)
        states.append(state(made.learner))
    count = len(made.learner.theta)
    expected = averages_of([one[:count] for one in states], 0.75) + states[-1][count:]
    saved.save(score=0.5)
    assert_same(state(made.learner), states[-1])
    for folder in ("checkpoints", "best"):
        other = learner(seed=1)
        restore_learner(other, tf.train.latest_checkpoint(str(tmp_path / folder)))
        for found, average in zip(state(other), expected, strict=True):
            np.testing.assert_allclose(found, average, rtol=1e-6)
