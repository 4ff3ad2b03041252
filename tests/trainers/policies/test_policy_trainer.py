"""Meta-training of policies as a whole: what moves, what is told, and that it can be repeated."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.environments.navigation import Navigation2D
from models.gaussian_policy import gaussian_mlp
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import DivergedError, InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.advantages import Advantages
from trainers.policies.policy_trainer import PolicyTrainer
from trainers.policies.trust_region import TrustRegion

TOLD = {"return_before", "return", "entropy", "meta_gradient_norm"}


def make_trainer(
    outer=None, *, model_seed=1, seed=0, tasks=9, environment=Navigation2D, **settings
):
    learner = MetaLearner(
        gaussian_mlp((2,), 4, model_seed, hidden=(4,)),
        policy_gradient.plain,
        alpha_init=0.05,
        **settings,
    )
    # More tasks than are laid side by side.
    made = environment(tasks, 2, 4)
    # Adam's first step goes by the gradient's sign alone.
    outer = outer or keras.optimizers.Adam(0.01, epsilon=1e-12)
    estimated = {"inner_advantages": Advantages(), "outer_advantages": Advantages(0.9)}
    return PolicyTrainer(learner, made, outer, **estimated, seed=seed)


def numbers(trainer):
    """All that training depends on, as arrays: θ, α and the optimizer's state."""
    learner, state = trainer.learner, getattr(trainer.optimizer, "variables", [])
    return {
        "theta": [weight.numpy() for weight in learner.theta],
        "alpha": [rate.numpy() for rate in learner.alpha.rates],
        "optimizer": [variable.numpy() for variable in state],
        "iteration": [trainer.iteration.numpy()],
    }


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        for a, b in zip(values, other[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.fixture(scope="module")
def by_adam(tmp_path_factory):
    """A trainer after three iterations, saved after two, and what was told and so after each."""
    path = tmp_path_factory.mktemp("run")
    trainer = make_trainer()
    seen, told = [numbers(trainer)], []
    for iteration in range(3):
        told.append(trainer.train(1))
        seen.append(numbers(trainer))
        if iteration == 1:
            RunCheckpoints(trainer, str(path), "max").save(-3.0)
    return trainer, told, seen, path


@pytest.fixture(scope="module")
def by_trust_region():
    """What was so before and after an iteration with fixed rates under another seed, and told."""
    trainer = make_trainer(TrustRegion(), alpha="fixed", seed=1)
    before = numbers(trainer)
    told = trainer.train(1)
    return before, numbers(trainer), told


def test_adams_first_step_goes_as_far_as_its_rate_in_theta_and_in_alpha(by_adam):
    _, told, seen, _ = by_adam
    assert all(set(one) == TOLD for one in told)
    assert all(np.isfinite(value) for value in told[0].values())
    assert told[0]["return"] != told[0]["return_before"] < 0
    for name in ("theta", "alpha"):
        moved = np.concatenate(
            [np.ravel(b - a) for a, b in zip(seen[0][name], seen[1][name], strict=True)]
        )
        gone = moved / 0.01
        assert np.abs(gone).max() <= 1.001
        assert np.mean(np.abs(gone) > 0.99) > 0.7  # The others have next to no gradient.
        assert {-1, 1} <= set(np.sign(gone))


def test_a_restored_trainer_goes_on_as_if_never_interrupted(by_adam):
    _, _, seen, path = by_adam
    again = make_trainer(model_seed=9)
    assert RunCheckpoints(again, str(path), "max").restore() == []
    assert_equal(numbers(again), seen[2])
    again.train(1)
    assert_equal(numbers(again), seen[3])


def test_two_trainers_with_one_seed_do_the_same_and_tell_the_means_over_the_iterations(by_adam):
    _, singly, seen, _ = by_adam
    other = make_trainer()
    both = other.train(2)
    assert_equal(numbers(other), seen[2])
    for name, value in both.items():
        assert value == pytest.approx(np.mean([one[name] for one in singly[:2]]), rel=1e-9)
    assert singly[0]["return"] != singly[1]["return"]


def test_another_seed_meets_other_tasks(by_adam, by_trust_region):
    _, (told, *_), seen, _ = by_adam
    before, _, told_of_another = by_trust_region
    for one, other in zip(seen[0]["theta"], before["theta"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert told_of_another["return_before"] != told["return_before"]


def test_fixed_rates_stay_while_a_trust_region_moves_theta(by_trust_region):
    before, after, told = by_trust_region
    for old, new in zip(before["theta"], after["theta"], strict=True):
        assert not np.array_equal(old, new)
    for old, new in zip(before["alpha"], after["alpha"], strict=True):
        np.testing.assert_array_equal(old, new)
    assert set(told) == TOLD | {"divergence", "backtracks"}
    assert 0 < told["divergence"] <= 0.01
    assert (before["iteration"], after["iteration"]) == ([0], [1])


def test_a_policy_with_dropout_is_refused():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(4)], name="dropping"
    )
    learner = MetaLearner(model, policy_gradient.plain)
    estimated = {"inner_advantages": Advantages(), "outer_advantages": Advantages()}
    with pytest.raises(InputError, match="^model='dropping': has layers that draw at random"):
        PolicyTrainer(learner, Navigation2D(1, 1, 1), TrustRegion(), **estimated)


def test_stopping_is_asked_between_iterations(by_adam):
    trainer, *_ = by_adam
    done = int(trainer.iteration.numpy())
    asked = iter([False, True])
    trainer.train(5, lambda: next(asked))
    assert int(trainer.iteration.numpy()) == done + 2


def test_fewer_than_one_iteration_are_refused(by_adam):
    with pytest.raises(InputError, match="iterations=0: should be at least 1"):
        by_adam[0].train(0)


@pytest.mark.parametrize("outer", ["trust region", "adam"])
def test_two_replicas_share_the_tasks_and_give_what_one_gives(outer):
    def made():
        # Ten conjugate gradients with hardly any damping would show rounding, much enlarged. Adam's
        # state tells by how much the gradients were multiplied, and its step does not.
        region = TrustRegion(iterations=3, damping=0.1)
        return make_trainer(region if outer == "trust region" else None, tasks=4)

    alone = made()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        both = made()
        with pytest.raises(InputError, match="meta_batch_size=9.*multiple of the 2 replica"):
            make_trainer()
    told, of_both = alone.train(2), both.train(2)
    assert told.keys() == of_both.keys()
    for name, value in told.items():
        assert value == pytest.approx(of_both[name], rel=1e-3), name
    one, other = numbers(alone), numbers(both)
    for name, values in one.items():
        for a, b in zip(values, other[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("broken", ["alpha", "theta"])
def test_an_iteration_that_is_not_finite_leaves_everything_as_it_was(by_adam, broken):
    trainer, *_ = by_adam
    variables = trainer.learner.theta if broken == "theta" else trainer.learner.alpha.rates
    kept = variables[-1].numpy()
    variables[-1].assign(tf.fill(kept.shape, np.nan))
    before = numbers(trainer)
    with pytest.raises(DivergedError, match=f"meta-iteration {before['iteration'][0] + 1} was not"):
        trainer.train(3)
    assert_equal(before, numbers(trainer))
    variables[-1].assign(kept)
    trainer.train(1)  # What had become of it then does not linger on.
    assert all(np.all(np.isfinite(value)) for value in numbers(trainer)["theta"])


def rewarded(change):
    """Returns navigation whose rewards go through a function, though what is observed stays."""

    class Changed(Navigation2D):
        def _current_time_step(self):
            met = super()._current_time_step()
            return met._replace(reward=change(met.reward))

    return Changed


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rewards_that_are_no_numbers_are_named_as_the_cause(bad):
    """One of them among many that are numbers."""

    def change(reward):
        return tf.concat([tf.fill([1], np.float32(bad)), reward[1:]], 0)

    trainer = make_trainer(tasks=2, environment=rewarded(change))
    before = numbers(trainer)
    told = "meta-iteration 1 was not finite: the rewards of its tasks before the update are not"
    with pytest.raises(DivergedError, match=told):
        trainer.train(1)
    assert_equal(before, numbers(trainer))


class LaterUnrewarding(Navigation2D):
    """Navigation whose rewards are numbers in the first rollout only."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self._rollouts = tf.Variable(0, trainable=False)

    def _reset(self):
        self._rollouts.assign_add(1)
        return super()._reset()

    def _current_time_step(self):
        met = super()._current_time_step()
        return met._replace(reward=tf.where(self._rollouts > 1, -np.inf, met.reward))


def test_rewards_that_are_no_numbers_after_the_update_alone_are_named_too():
    trainer = make_trainer(tasks=2, environment=LaterUnrewarding)
    before = numbers(trainer)
    with pytest.raises(DivergedError, match="1 was not finite: the rewards of its tasks after the"):
        trainer.train(1)
    assert_equal(before, numbers(trainer))


@pytest.mark.parametrize("outer", [TrustRegion, lambda: None], ids=["trust region", "adam"])
def test_without_rewards_the_gradient_is_zero_and_nothing_changes(outer):
    trainer = make_trainer(outer(), tasks=2, environment=rewarded(tf.zeros_like))
    before = numbers(trainer)
    told = trainer.train(2)
    after = numbers(trainer)
    for name in ("theta", "alpha"):
        assert_equal({name: before[name]}, {name: after[name]})
    assert (told["return_before"], told["return"], told["meta_gradient_norm"]) == (0, 0, 0)
    if isinstance(trainer._outer, TrustRegion):
        assert (told["divergence"], told["backtracks"]) == (0, TrustRegion().backtracks + 1)


def test_an_outer_step_that_overflows_is_refused_at_its_iteration(by_adam):
    trainer, *_ = by_adam
    kept = numbers(trainer)
    rate = trainer.optimizer.learning_rate.numpy()
    trainer.optimizer.learning_rate.assign(np.inf)
    with pytest.raises(DivergedError, match=r"its outer step left .* so; try a lower meta_learn"):
        trainer.train(3)
    assert trainer.iteration.numpy() == kept["iteration"][0]  # Nothing counts it as done.
    trainer.optimizer.learning_rate.assign(rate)
    state = [*trainer.learner.theta, *trainer.learner.alpha.rates, *trainer.optimizer.variables]
    values = [*kept["theta"], *kept["alpha"], *kept["optimizer"]]
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
