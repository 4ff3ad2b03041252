"""What training has reached is saved whole and found again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.tasks.sinusoid import Sinusoid
from models.mlp import mlp
from trainers.checkpoints import manager, restore_learner
from trainers.learner import MetaLearner
from trainers.meta_trainer import MetaTrainer

TASKS = Sinusoid(shots=3, queries=3).sampler("train")


def learner(seed=0, alpha="per_weight", model=None):
    return MetaLearner(
        model or mlp((1,), 1, seed, hidden=(8,), stddev=0.3), "mse", alpha=alpha, alpha_init=0.02
    )


def trainer(seed=0, **options):
    return MetaTrainer(
        learner(seed, **options),
        TASKS,
        keras.optimizers.Adam(0.01),
        meta_batch_size=2,
        jit_compile=False,  # To spare compiling.
    )


def state(made):
    return [value.numpy() for value in [*made.theta, *made.alpha.rates]]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("alpha", ["per_weight", "per_layer", "fixed"])
def test_a_learner_is_restored_with_its_rates_and_iteration(tmp_path, alpha):
    made = trainer(alpha=alpha)
    made.train(3)
    for rate in made.learner.alpha.rates:
        rate.assign(rate + 1)  # MAML's too is kept, though training never moves it.
    path = manager(made, str(tmp_path)).save()
    other = learner(seed=1, alpha=alpha)
    assert any(
        not np.array_equal(a, b) for a, b in zip(state(other), state(made.learner), strict=True)
    )
    assert restore_learner(other, path) == 3
    assert_same(state(other), state(made.learner))


def test_moving_averages_are_restored(tmp_path):
    def network():
        return keras.Sequential(
            [keras.Input((1,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        )

    made = trainer(model=network())
    made.train(3)
    path = manager(made, str(tmp_path)).save()
    other = learner(model=network())
    restore_learner(other, path)
    averages = [variable.numpy() for variable in other.model.non_trainable_variables]
    assert_same(averages, [v.numpy() for v in made.learner.model.non_trainable_variables])
    assert averages[0] != 0


@pytest.mark.parametrize("options", [{"alpha": "scalar"}, {"model": "wider"}, {"model": "deeper"}])
def test_another_shape_is_refused(tmp_path, options):
    path = manager(trainer(), str(tmp_path)).save()
    hidden = {"wider": (9,), "deeper": (8, 8)}.get(options.get("model"))
    if hidden:
        options = {"model": mlp((1,), 1, 0, hidden=hidden)}
    with pytest.raises((ValueError, AssertionError)):
        restore_learner(learner(**options), path)


def test_going_on_equals_never_having_stopped(tmp_path):
    whole = trainer(0)
    whole.train(12)
    first = trainer(0)
    first.train(5)
    manager(first, str(tmp_path)).save()
    second = trainer(1)  # Nothing of its own start is left.
    assert manager(second, str(tmp_path)).restore_or_initialize()
    assert int(second.iteration.numpy()) == 5
    second.train(7)
    assert_same(state(second.learner), state(whole.learner))
    assert_same(
        [value.numpy() for value in second.optimizer.variables],
        [value.numpy() for value in whole.optimizer.variables],
    )


def test_an_empty_directory_leaves_the_start(tmp_path):
    made = trainer()
    before = state(made.learner)
    assert manager(made, str(tmp_path / "new")).restore_or_initialize() is None
    assert int(made.iteration.numpy()) == 0
    assert_same(state(made.learner), before)


def test_the_last_five_checkpoints_stay(tmp_path):
    made = trainer()
    saved = manager(made, str(tmp_path))
    for _ in range(7):
        made.train(1)
        saved.save()
    kept = sorted(path.name for path in tmp_path.glob("*.index"))
    assert kept == [f"ckpt-{number}.index" for number in (3, 4, 5, 6, 7)]
    assert restore_learner(learner(), tf.train.latest_checkpoint(str(tmp_path))) == 7
