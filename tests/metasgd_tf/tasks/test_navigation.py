"""What navigation keeps to as a family of tasks, though it has no episodes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import tasks
from metasgd_tf.drawing.paths import Paths
from metasgd_tf.environments.navigation import goals
from metasgd_tf.flags import run_flags
from metasgd_tf.tasks import navigation
from models.gaussian_policy import gaussian_mlp
from trainers.families import Family, Part
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.policy_trainer import PolicyTrainer
from trainers.policies.rollouts import Collector
from trainers.policies.trajectories import Trajectories
from trainers.seeds import SPLITS, fold_in, split_seed, stream
from trainers.task_family import TaskFamily

FLAGS = ["--task=navigation", "--trajectories=2", "--horizon=4", "--start=varying"]
TARGETS = tf.constant([[0.5, -0.2, 2.0], [1.0, 0.3, -0.5]])
OUTPUTS = tf.constant([[0.1, 0.2, -0.3, 0.4], [0.5, -0.5, 0.0, 0.1]])


def make(*arguments, splits=SPLITS):
    return tasks.from_flags(run_flags.parse([*FLAGS, *arguments]), splits)


@pytest.fixture(scope="module")
def family():
    return make()


@pytest.fixture(scope="module")
def learner(family):
    return MetaLearner(gaussian_mlp((2,), 4, 0, hidden=(8,)), family.loss, alpha_init=0.2)


@pytest.fixture(scope="module")
def part():
    return Part("test", stream(3, "test"))


@pytest.fixture(scope="module")
def evaluate(family, learner):
    """Evaluates the learner on parts, five tasks at once: forty take longer to trace."""
    (protocol,) = family.protocols(5)

    def evaluated(parts, **settings):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(navigation, "TOGETHER", 5)
            return family.evaluation(learner, protocol, parts, **settings)()

    return evaluated


def test_it_is_a_family_without_episodes_that_needs_no_data(family):
    bare = make(splits=())
    assert isinstance(family, Family) and not isinstance(family, TaskFamily)
    assert (bare.input_shape, bare.output_size) == (family.input_shape, family.output_size)
    assert (family.metric, family.metric_mode, family.scores) == ("return", "max", ("return",))


def test_the_model_fits_the_tasks_and_follows_its_seed(family):
    one, same, other = (family.model(seed) for seed in (1, 1, 2))
    assert tuple(one.input_shape) == (None, *family.input_shape)
    assert tuple(one.output_shape) == (None, family.output_size)
    kernels = [[w.numpy() for w in m.trainable_variables if w.ndim > 1] for m in (one, same, other)]
    assert [kernel.shape for kernel in kernels[0]] == [(2, 100), (100, 100), (100, 2)]
    for a, b, c in zip(*kernels, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("surrogate", ["plain", "dice"])
def test_the_loss_is_one_number_an_example_by_the_surrogate_that_is_asked_for(surrogate):
    found = make(f"--surrogate={surrogate}").loss(TARGETS, OUTPUTS)
    assert found.shape == [2]
    expected = policy_gradient.SURROGATES[surrogate](TARGETS, OUTPUTS)
    np.testing.assert_array_equal(found, expected)


def test_the_entropy_counts_as_much_as_is_asked_for():
    found = make("--entropy_weight=0.25").loss(TARGETS, OUTPUTS) - make().loss(TARGETS, OUTPUTS)
    entropy = np.sum(OUTPUTS[:, 2:] + 0.5 * np.log(2 * np.pi * np.e), axis=1)
    np.testing.assert_allclose(found, 0.25 * entropy, rtol=1e-4)


def test_flags_reach_the_environment_and_the_advantages(monkeypatch):
    asked = ["--inner_discount=0.5", "--inner_gae_lambda=0.25", "--noinner_normalise"]
    asked += ["--inner_times_reward", "--outer_discount=0.75", "--outer_gae_lambda=0.125"]
    asked += ["--horizon=7"]
    family = make(*asked, "--reward=squared_distance", "--start=fixed", "--trajectories=6")
    assert tuple(family.advantages) == (0.5, 0.25, False, True)
    monkeypatch.setattr(navigation, "PolicyTrainer", lambda *_, **given: given)
    given = family.trainer(None, None, meta_batch_size=2, seed=4)
    assert given["inner_advantages"] == family.advantages
    assert tuple(given["outer_advantages"]) == (0.75, 0.125, True, False)
    assert given["seed"] == 4
    environment = family.environment(3)
    sizes = (environment.tasks, environment.trajectories, environment.horizon)
    assert sizes == (3, 6, 7)
    environment.set_goals(tf.constant([[0.3, 0.4]] * 3), tf.constant([0, 0]))
    np.testing.assert_array_equal(environment.reset().observation, np.zeros([18, 2]))
    np.testing.assert_allclose(environment.step(tf.zeros([18, 2])).reward, [-0.25] * 18, rtol=1e-6)


def test_the_protocol_is_one_with_the_number_of_tasks_that_is_asked_for(family):
    (usual,), (asked,) = family.protocols(None), family.protocols(7)
    assert (usual.shots, usual.num_tasks, usual.repeats) == (2, 600, 1)
    assert asked == usual._replace(num_tasks=7)


def test_evaluation_gives_the_return_of_each_task_after_up_to_three_updates(evaluate, part):
    (scores,) = evaluate([part])
    assert list(scores) == ["return"] and scores["return"].shape == (5, 4)
    assert np.all(np.isfinite(scores["return"])) and scores["return"].max() < 0


def test_evaluation_starts_from_the_policy_as_it_is_and_serves_several_parts(
    family, learner, part, evaluate
):
    parts = [part, Part("validation", stream(3, "validation"))]
    evaluated = evaluate(parts, steps=0)
    weights = [tf.repeat(weight.value[tf.newaxis], 5, axis=0) for weight in learner.theta]
    collect = Collector(family.environment(5), learner.pure_model)
    for (_, seed), scores in zip(parts, evaluated, strict=True):
        assert scores["return"].shape == (5, 1)
        task_seeds = tf.stack([fold_in(seed, 0, task) for task in range(5)])
        met = collect(weights, task_seeds, fold_in(seed, 1, 0, 0))
        expected = np.mean(met.returns(), axis=1)
        np.testing.assert_allclose(scores["return"][:, 0], expected, rtol=1e-5)


def test_the_direction_is_that_of_the_gradient_on_trajectories(family, learner, part):
    (protocol,) = family.protocols(5)
    cosines = family.direction(learner, protocol, part, 3)
    rates = [rate.numpy() for rate in learner.alpha.rates]
    layers = {"hidden_1", "output", "log_std", "all_layers"}
    found = cosines()
    assert set(found) == layers
    assert found == pytest.approx(dict.fromkeys(layers, 1.0), abs=1e-5)  # All rates are alike.
    weights = [tf.repeat(weight.value[tf.newaxis], 3, axis=0) for weight in learner.theta]
    collect = Collector(family.environment(3), learner.pure_model)
    met = collect(weights, split_seed(part.seed, 3), fold_in(part.seed, 0))
    try:
        learner.alpha.rates[-1].assign([1.0, -0.5])
        expected = []
        for inputs, targets in zip(*family.advantages.examples(met), strict=True):
            slope = learner.support_gradient(inputs, targets)[-1].numpy()
            update = [1.0, -0.5] * slope
            norms = np.linalg.norm(update) * np.linalg.norm(slope)
            expected.append(update @ slope / norms)
        assert cosines()["log_std"] == pytest.approx(np.mean(expected), abs=1e-5)
    finally:
        learner.alpha.rates[-1].assign(rates[-1])


def test_what_is_shown_are_paths_before_and_after_the_update_and_can_be_drawn(
    family, learner, part
):
    (protocol,) = family.protocols(5)
    shown = tf.nest.map_structure(
        lambda value: value.numpy(), family.shown(learner, protocol, part)()
    )
    there, before, after = shown
    np.testing.assert_array_equal(there, goals(split_seed(part.seed, 4)))
    for rollout in (before, after):
        assert isinstance(rollout, Paths)
        assert (rollout.positions.shape, rollout.mask.shape) == ((4, 2, 5, 2), (4, 2, 5))
        # A start in the square, and steps of a tenth at most.
        assert np.abs(rollout.positions[:, :, 0]).max() <= 0.5
        assert np.abs(np.diff(rollout.positions, axis=2)).max() <= 0.1 + 1e-6
    assert not np.isclose(before.positions[:, :, 1:], after.positions[:, :, 1:]).all()
    image = family.draw(*shown)
    assert [axes.get_ylabel() for axes in image.axes[::4]] == ["before", "after"]
    assert len(image.axes) == 8


def test_a_path_ends_where_the_last_action_leads():
    observations = tf.constant([[[[0.0, 0.0], [0.1, 0.0], [0.3, 0.3]]]])
    actions = tf.constant([[[[1.0, 0.0], [2.0, -0.5], [1.0, 1.0]]]])
    # The episode ended with its second step; what follows is not of it.
    mask = tf.constant([[[1.0, 1.0, 0.0]]])
    positions, shown = navigation._paths(Trajectories(observations, actions, mask, mask))
    np.testing.assert_array_equal(shown, [[[1, 1, 1, 0]]])
    np.testing.assert_allclose(positions[0, 0, :3], [[0, 0], [0.1, 0], [0.2, -0.05]], atol=1e-7)


def test_it_is_trained_by_trust_regions_where_no_optimizer_is_given(family, learner):
    for optimizer in (None, keras.optimizers.Adam(0.01)):
        trainer = family.trainer(learner, optimizer, meta_batch_size=3, seed=0)
        assert isinstance(trainer, PolicyTrainer)
        assert trainer.learner is learner
        if optimizer is None:
            assert type(trainer.optimizer) is tf.Module
        else:
            assert trainer.optimizer is optimizer
