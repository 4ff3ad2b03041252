"""Collects trajectories of policies with fast weights, by a TF-Agents driver and environment."""

import abc
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tf_agents.drivers.dynamic_step_driver import DynamicStepDriver
from tf_agents.environments.tf_environment import TFEnvironment
from tf_agents.policies.tf_policy import TFPolicy
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from trainers.policies.policy_gradient import normal
from trainers.policies.trajectories import Trajectories
from trainers.seeds import fold_in, standard_normal
from trainers.stateless.pure_model import PureModel
from trainers.update_rule import Tensors


class TaskEnvironment(TFEnvironment, abc.ABC):
    """An environment whose batch is T tasks × N trajectories of each, tasks first.

    Attributes:
      tasks: T.
      trajectories: N.
      horizon: H, the maximum steps per episode.
    """

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: Any,
        tasks: int,
        trajectories: int,
        horizon: int,
    ):
        """Sets the specs and the sizes of a batch."""
        super().__init__(time_step_spec, action_spec, batch_size=tasks * trajectories)
        self.tasks = tasks
        self.trajectories = trajectories
        self.horizon = horizon

    @abc.abstractmethod
    def set_tasks(self, task_seeds: tf.Tensor, seed: tf.Tensor) -> None:
        """Sets the tasks of the episodes that begin with the next `reset`.

        Args:
          task_seeds: [T, 2] (int32), one for each task, which it determines.
          seed: [2] (int32), the seed of whatever differs between the trajectories of a task.
        """


class FastWeightsPolicy(TFPolicy):
    """A policy that acts in each task with the weights of that task.

    Its state counts the steps since an episode began.
    """

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: Any,
        model: PureModel,
        weights: Sequence[tf.Tensor | tf.Variable],
        noise: tf.Tensor | None = None,
    ):
        """Makes the policy.

        Args:
          time_step_spec: the spec of the environment's time steps.
          action_spec: the spec of actions.
          model: a network from states [N, ...] to outputs [N, 2 A], see `policy_gradient.normal`.
          weights: for each of the model's weights the values of all tasks, [T, ...].
          noise: standard normal numbers [T N, H, A] from which actions are sampled; without them it
            takes the most likely action.
        """
        super().__init__(
            time_step_spec,
            action_spec,
            policy_state_spec=tf.TensorSpec([], tf.int32, "step"),
            # The environment clips, so that recorded actions are those that the policy drew.
            clip=False,
        )
        self._model = model
        self._weights = list(weights)
        self._noise = noise

    def _distribution(
        self, time_step: ts.TimeStep, policy_state: tf.Tensor
    ) -> policy_step.PolicyStep:
        observations = time_step.observation
        tasks = self._weights[0].shape[0]
        shape = tf.concat([[tasks, -1], tf.shape(observations)[1:]], axis=0)
        outputs = outputs_of_tasks(self._model, self._weights, tf.reshape(observations, shape))
        flat = tf.reshape(outputs, [-1, outputs.shape[-1]])
        return policy_step.PolicyStep(normal(flat), policy_state + 1, ())

    def _action(
        self, time_step: ts.TimeStep, policy_state: tf.Tensor, seed: Any
    ) -> policy_step.PolicyStep:
        del seed
        step = self._distribution(time_step, policy_state)
        if self._noise is None:
            return step._replace(action=step.action.mode())
        noise = tf.gather(self._noise, policy_state, axis=1, batch_dims=1)
        return step._replace(action=step.action.loc + step.action.stddev() * noise)


def outputs_of_tasks(model: PureModel, weights: Tensors, inputs: tf.Tensor) -> tf.Tensor:
    """Returns the model's outputs [T, N, ...] for inputs [T, N, ...] with the weights of each task.

    Args:
      model: the network.
      weights: for each of its weights the values of all tasks, [T, ...].
      inputs: [T, N, ...].
    """
    return tf.vectorized_map(
        lambda task: model(task[0], task[1], training=False).outputs, (list(weights), inputs)
    )


class Collector:
    """Collects trajectories, one episode each.

    Create one per environment; its variables hold the steps during a collection.
    """

    def __init__(self, environment: TaskEnvironment, model: PureModel):
        """Prepares collecting in an environment, with policies of this model."""
        self._environment = environment
        self._model = model
        time_step_spec, action_spec = environment.time_step_spec(), environment.action_spec()
        shapes: list[list[int]] = [
            time_step_spec.observation.shape.as_list(),
            action_spec.shape.as_list(),
            [],
            [],
        ]
        self._rows = [
            tf.Variable(tf.zeros([environment.horizon, environment.batch_size, *shape]))
            for shape in shapes
        ]
        self._row = tf.Variable(0)

    def __call__(self, weights: Tensors, task_seeds: tf.Tensor, seed: tf.Tensor) -> Trajectories:
        """Collects the trajectories of all tasks of the environment.

        The result depends on the arguments only.

        Args:
          weights: for each of the model's weights the values of all tasks, [T, ...].
          task_seeds: [T, 2], the seeds of the tasks.
          seed: [2], the seed of actions and of whatever else differs between trajectories.
        """
        self._environment.set_tasks(task_seeds, fold_in(seed, 0))
        return self.in_tasks_as_set(weights, fold_in(seed, 1))

    def in_tasks_as_set(self, weights: Tensors, seed: tf.Tensor) -> Trajectories:
        """Collects the trajectories of the tasks that the environment has been set to.

        Args:
          weights: for each of the model's weights the values of all tasks, [T, ...].
          seed: [2], the seed of actions.
        """
        environment = self._environment
        action_spec = environment.action_spec()
        size = [environment.batch_size, environment.horizon, *action_spec.shape]
        noise = standard_normal(seed, size)
        policy = FastWeightsPolicy(
            environment.time_step_spec(), action_spec, self._model, weights, noise
        )
        self._row.assign(0)
        DynamicStepDriver(
            environment,
            policy,
            [self._record],
            num_steps=environment.batch_size * environment.horizon,
        ).run(environment.reset(), maximum_iterations=environment.horizon)
        observations, actions, rewards, alive = (self._of_tasks(row) for row in self._rows)
        mask = tf.math.cumprod(alive, axis=-1)
        return Trajectories(observations, actions, rewards * mask, mask)

    def _record(self, step: trajectory.Trajectory) -> None:
        alive = tf.cast(~step.is_boundary(), tf.float32)
        row = self._row.read_value()
        for rows, values in zip(
            self._rows, (step.observation, step.action, step.reward, alive), strict=True
        ):
            rows.scatter_update(tf.IndexedSlices(values[tf.newaxis], row[tf.newaxis]))
        self._row.assign_add(1)

    def _of_tasks(self, rows: tf.Variable) -> tf.Tensor:
        """Returns [T, N, H, ...] for rows [H, T N, ...]."""
        environment = self._environment
        by_batch = tf.experimental.numpy.swapaxes(rows.read_value(), 0, 1)
        head = [environment.tasks, environment.trajectories, environment.horizon]
        return tf.reshape(by_batch, [*head, *rows.shape[2:]])
