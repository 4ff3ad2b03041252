"""The plane with a goal, against rollouts worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers.dynamic_episode_driver import DynamicEpisodeDriver
from tf_agents.policies.random_tf_policy import RandomTFPolicy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from metasgd_tf.environments.navigation import Navigation2D, goals
from trainers.seeds import split_seed

FIRST, MID, LAST = 0, 1, 2
SEED = tf.constant([3, 4])


def plane(goal, **settings):
    """One task of one trajectory, at the beginning of an episode."""
    environment = Navigation2D(1, 1, **settings)
    environment.set_goals(tf.constant([goal]), SEED)
    environment.reset()
    return environment


def roll_out(environment, actions):
    """Returns (kind, x, y, reward, discount) after each action."""
    rollout = []
    for action in actions:
        step = environment.step(tf.constant([action]))
        (kind,), (reward,), (discount,), ((x, y),) = (part.numpy() for part in step)
        rollout.append((kind, x, y, reward, discount))
    return rollout


def test_specs_are_those_of_a_position_and_a_bounded_velocity():
    environment = Navigation2D(2, 3)
    assert environment.time_step_spec() == ts.time_step_spec(
        tf.TensorSpec([2], tf.float32, "position")
    )
    assert environment.action_spec() == tensor_spec.BoundedTensorSpec(
        [2], tf.float32, -1.0, 1.0, "velocity"
    )
    sizes = (environment.tasks, environment.trajectories, environment.batch_size)
    assert (environment.batched, *sizes, environment.horizon) == (True, 2, 3, 6, 100)


def test_an_episode_begins_at_the_origin_without_a_reward():
    environment = Navigation2D(2, 2)
    environment.set_tasks(split_seed(SEED, 2), SEED)
    for _ in range(2):
        step = environment.reset()
        np.testing.assert_array_equal(step.step_type, [FIRST] * 4)
        np.testing.assert_array_equal(step.reward, [0] * 4)
        np.testing.assert_array_equal(step.discount, [1] * 4)
        np.testing.assert_array_equal(step.observation, np.zeros([4, 2]))
        np.testing.assert_array_equal(environment.current_time_step().observation, np.zeros([4, 2]))
        environment.step(tf.ones([4, 2]))


@pytest.mark.parametrize(
    ("reward", "rewards"),
    [
        # √(0.2² + 0.3²), √(0.1² + 0.25²), √(0.2² + 0.15²)
        ("distance", [-0.36055513, -0.26925824, -0.25]),
        ("squared_distance", [-0.13, -0.0725, -0.0625]),
    ],
)
def test_a_rollout_is_the_one_worked_out_by_hand(reward, rewards):
    environment = plane([0.3, -0.4], reward=reward)
    # The second and the third action are out of bounds, and go no further than 1 would.
    rollout = roll_out(environment, [[1.0, -1.0], [5.0, -0.5], [-3.0, -1.5]])
    expected = [[0.1, -0.1], [0.2, -0.15], [0.1, -0.25]]
    np.testing.assert_allclose([step[1:3] for step in rollout], expected, rtol=1e-6)
    np.testing.assert_allclose([step[3] for step in rollout], rewards, rtol=1e-5)
    assert [(step[0], step[4]) for step in rollout] == [(MID, 1)] * 3


def test_it_ends_within_a_hundredth_in_both_coordinates_and_begins_anew():
    environment = plane([0.05, 0.05], horizon=3)
    on_one_line, at_the_goal, anew = roll_out(environment, [[0.5, 0.2], [0.0, 0.25], [1.0, 1.0]])
    assert (on_one_line[0], on_one_line[4]) == (MID, 1)
    assert on_one_line[3] == pytest.approx(-0.03, rel=1e-5)
    assert (at_the_goal[0], at_the_goal[4]) == (LAST, 0)
    assert at_the_goal[3] == pytest.approx(-0.005, rel=1e-4)
    assert anew == (FIRST, 0, 0, 0, 1)  # Whatever the action was.
    # And the new episode has all its three steps.
    assert [step[0] for step in roll_out(environment, [[-1.0, -1.0]] * 4)] == [
        MID,
        MID,
        LAST,
        FIRST,
    ]


def test_near_the_goal_in_the_other_coordinate_alone_is_not_there():
    assert roll_out(plane([0.05, 0.05]), [[0.2, 0.5]])[0][0] == MID


def test_a_hundredth_and_a_little_more_is_not_there():
    assert roll_out(plane([0.05, 0.05]), [[0.391, 0.5]])[0][0] == MID  # 0.0109 away
    assert roll_out(plane([0.05, 0.05]), [[0.409, 0.5]])[0][0] == LAST  # 0.0091


def test_it_ends_at_the_horizon():
    rollout = roll_out(plane([0.4, 0.4], horizon=2), [[0.0, -1.0]] * 5)
    assert [step[0] for step in rollout] == [MID, LAST, FIRST, MID, LAST]
    assert [step[4] for step in rollout] == [1, 0, 1, 1, 0]
    assert rollout[1][3] == pytest.approx(-np.hypot(0.4, 0.6), rel=1e-5)
    np.testing.assert_allclose(
        [step[2] for step in rollout], [-0.1, -0.2, 0, -0.1, -0.2], atol=1e-7
    )


def test_the_batch_has_the_trajectories_of_a_task_together():
    environment = Navigation2D(2, 3)
    there = tf.constant([[0.3, 0.0], [0.0, 0.1]])
    environment.set_goals(there, SEED)
    environment.reset()
    actions = np.float32([[1, 0], [0, 0], [-1, 0], [0, 1], [0, 0], [0, -1]])
    step = environment.step(tf.constant(actions))
    np.testing.assert_allclose(step.observation, 0.1 * actions, rtol=1e-6)
    np.testing.assert_allclose(step.reward, [-0.2, -0.3, -0.4, 0, -0.1, -0.2], atol=1e-6)
    np.testing.assert_array_equal(step.step_type, [MID, MID, MID, LAST, MID, MID])


def test_varying_starts_lie_in_the_square_and_differ_between_trajectories_and_by_seed():
    def starts(seed):
        environment = Navigation2D(20, 10, start="varying")
        environment.set_tasks(split_seed(SEED, 20), seed)
        return environment.reset().observation.numpy()

    one, again, other = starts(SEED), starts(SEED), starts(SEED + 1)
    np.testing.assert_array_equal(one, again)
    assert len(np.unique(one, axis=0)) == len(np.unique(np.concatenate([one, other]), axis=0)) / 2
    assert len(np.unique(one, axis=0)) == 200
    assert_uniform(one)


def test_an_episode_that_begins_anew_begins_where_the_first_one_did():
    environment = plane([0.9, 0.9], start="varying", horizon=1)
    start = environment.current_time_step().observation.numpy()
    rollout = roll_out(environment, [[1.0, 1.0]] * 2)
    assert [step[0] for step in rollout] == [LAST, FIRST]
    assert not np.allclose(rollout[0][1:3], start[0])
    np.testing.assert_array_equal(rollout[1][1:3], start[0])


def test_goals_are_functions_of_the_tasks_seeds_alone():
    seeds = split_seed(SEED, 300)
    drawn = goals(seeds).numpy()
    np.testing.assert_array_equal(goals(seeds[5:7]), drawn[5:7])
    assert len(np.unique(drawn, axis=0)) == 300
    assert_uniform(drawn)
    environment = Navigation2D(2, 1)
    for seed in (SEED, SEED + 1):
        environment.set_tasks(seeds[5:7], seed)
        environment.reset()
        reward = environment.step(tf.zeros([2, 2])).reward
        np.testing.assert_allclose(reward, -np.linalg.norm(drawn[5:7], axis=1), rtol=1e-6)


def test_a_goal_by_a_seed_stays_what_it_has_been():
    # The tasks of the first iteration by seed 0; Philox makes of their seeds, with 0 folded in,
    # 0.006625 and 0.172849, 0.865040 and 0.574598, from which ½ is taken.
    seeds = tf.constant([[-1496990542, -756666449], [-27583584, -1720709931]])
    expected = [[-0.493375, -0.327151], [0.365040, 0.074598]]
    np.testing.assert_allclose(goals(seeds), expected, atol=1e-6)


def assert_uniform(points):
    """Checks points [N, 2] by range, means, variances 1/12 and the share in each quarter."""
    assert np.abs(points).max() <= 0.5
    spread = 5 / np.sqrt(len(points))  # Over four standard errors of all that follows.
    np.testing.assert_allclose(points.mean(0), 0, atol=spread * 0.29)
    np.testing.assert_allclose(points.var(0), 1 / 12, atol=spread * 0.08)
    quarters = np.bincount(2 * (points[:, 0] > 0) + (points[:, 1] > 0), minlength=4)
    np.testing.assert_allclose(quarters / len(points), 0.25, atol=spread * 0.44)


def test_what_tf_agents_drives_through_it_keeps_to_its_specs():
    environment = Navigation2D(2, 2, horizon=4, start="varying")
    environment.set_tasks(split_seed(SEED, 2), SEED)
    spec, seen = environment.time_step_spec(), []
    policy = RandomTFPolicy(spec, environment.action_spec())

    def check(step):
        seen.append((step.step_type.shape, step.observation.shape, step.reward.shape))
        for value, promised in [
            (step.observation, spec.observation),
            (step.reward, spec.reward),
            (step.discount, spec.discount),
            (step.step_type, spec.step_type),
        ]:
            assert value.dtype == promised.dtype
            assert value.shape == [4, *promised.shape]

    DynamicEpisodeDriver(environment, policy, [check], num_episodes=4).run(environment.reset())
    assert seen
