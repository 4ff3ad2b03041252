"""2D navigation to a goal, for many tasks and trajectories at once."""

import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from trainers.policies.rollouts import TaskEnvironment
from trainers.seeds import fold_in, uniform

REWARDS = ("distance", "squared_distance")
STARTS = ("fixed", "varying")
HALF_SIDE = 0.5
"""Goals lie in [−0.5, 0.5]², and starts where they vary."""
STEP = 0.1
"""How far an action of 1 moves in a coordinate; no action moves farther."""
REACHED = 0.01


class Navigation2D(TaskEnvironment):
    """A point moves in the plane; a task is its goal.

    * State: the position, [2]. An episode begins at the origin, or anywhere in [−0.5, 0.5]² where
      starts vary.
    * Action: [2], clipped to [−1, 1] and multiplied by 0.1, as in the published code.
    * Reward: minus the distance to the goal after the step, or minus its square. MAML's paper says
      squared, but its published code, which gave the paper's numbers, does not square.
    * End: within 0.01 of the goal in both coordinates, or after `horizon` steps.

    Source: Finn et al. 2017, section 5.3 and published code; Li et al. 2017, section 4.3.
    """

    def __init__(
        self,
        tasks: int,
        trajectories: int,
        horizon: int = 100,
        reward: str = "distance",
        start: str = "fixed",
    ):
        """Makes a batch of `tasks` × `trajectories` planes.

        Args:
          tasks: number of goals.
          trajectories: episodes per goal.
          horizon: maximum steps per episode.
          reward: one of `REWARDS`.
          start: one of `STARTS`.
        """
        position = tf.TensorSpec([2], tf.float32, "position")
        velocity = tensor_spec.BoundedTensorSpec([2], tf.float32, -1.0, 1.0, "velocity")
        super().__init__(ts.time_step_spec(position), velocity, tasks, trajectories, horizon)
        self._squared = reward == "squared_distance"
        self._varying = start == "varying"
        batch = [self.batch_size]
        self._goal = tf.Variable(tf.zeros([*batch, 2]), trainable=False)
        self._start = tf.Variable(tf.zeros([*batch, 2]), trainable=False)
        self._position = tf.Variable(tf.zeros([*batch, 2]), trainable=False)
        self._steps = tf.Variable(tf.zeros(batch, tf.int32), trainable=False)
        self._step_type = tf.Variable(tf.fill(batch, ts.StepType.FIRST), trainable=False)
        self._reward = tf.Variable(tf.zeros(batch), trainable=False)

    def set_tasks(self, task_seeds: tf.Tensor, seed: tf.Tensor) -> None:
        """Sets goals and starts, see `TaskEnvironment`."""
        self.set_goals(goals(task_seeds), seed)

    def set_goals(self, goals: tf.Tensor, seed: tf.Tensor) -> None:
        """Sets these goals [T, 2] and draws the starts, where they vary, by `seed`."""
        self._goal.assign(tf.repeat(goals, self.trajectories, axis=0))
        if self._varying:
            self._start.assign(_in_square(uniform(seed, [self.batch_size, 2])))

    def _current_time_step(self) -> ts.TimeStep:
        ended = tf.equal(self._step_type, ts.StepType.LAST)
        return ts.TimeStep(
            self._step_type.read_value(),
            self._reward.read_value(),
            tf.where(ended, 0.0, 1.0),
            self._position.read_value(),
        )

    def _reset(self) -> ts.TimeStep:
        self._position.assign(self._start)
        self._steps.assign(tf.zeros_like(self._steps))
        self._step_type.assign(tf.fill([self.batch_size], ts.StepType.FIRST))
        self._reward.assign(tf.zeros_like(self._reward))
        return self._current_time_step()

    def _step(self, action: tf.Tensor) -> ts.TimeStep:
        # An episode that has ended begins anew, whatever the action.
        begins = tf.equal(self._step_type, ts.StepType.LAST)
        reached = moved(self._position, action)
        position = tf.where(begins[:, tf.newaxis], self._start, reached)
        steps = tf.where(begins, 0, self._steps + 1)
        offset = position - self._goal
        squared = tf.reduce_sum(tf.square(offset), axis=-1)
        reward = -squared if self._squared else -tf.sqrt(squared)
        arrived = tf.reduce_all(tf.abs(offset) < REACHED, axis=-1)
        ends = tf.logical_and(~begins, tf.logical_or(arrived, steps >= self.horizon))
        kind = tf.where(ends, ts.StepType.LAST, ts.StepType.MID)
        self._position.assign(position)
        self._steps.assign(steps)
        self._step_type.assign(tf.where(begins, ts.StepType.FIRST, kind))
        self._reward.assign(tf.where(begins, 0.0, reward))
        return self._current_time_step()


def moved(positions: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Returns the positions [..., 2] to which actions [..., 2] lead."""
    return positions + STEP * tf.clip_by_value(actions, -1.0, 1.0)


def goals(task_seeds: tf.Tensor) -> tf.Tensor:
    """Draws a goal in [−0.5, 0.5]² from each seed [T, 2]; returns the goals, [T, 2]."""
    # A loop, since tracing a copy for each task would take longer than the rollouts.
    numbers = tf.map_fn(
        lambda seed: uniform(fold_in(seed, 0), [2]),
        task_seeds,
        fn_output_signature=tf.TensorSpec([2], tf.float32),
    )
    return _in_square(numbers)


def _in_square(numbers: tf.Tensor) -> tf.Tensor:
    return HALF_SIDE * (2.0 * numbers - 1.0)
