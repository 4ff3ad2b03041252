"""A policy adapted to one goal, as TF-Agents saves policies.

    policy = tf.saved_model.load(folder)
    state = policy.get_initial_state(batch_size)
    step = policy.action(time_step, state)

It needs neither TF-Agents nor this project to act: any named tuple `TimeStep` of step_type, reward,
discount and observation will do.
"""

import pathlib
from collections.abc import Sequence

import tensorflow as tf
from tf_agents.policies.policy_saver import PolicySaver

from metasgd_tf.tasks.navigation import Navigation
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.experience import adapt_tasks, initial_weights
from trainers.policies.rollouts import Collector, FastWeightsPolicy
from trainers.seeds import fold_in, stream
from trainers.update_rule import Tensors

SEED = stream(0, "test")
"""What the trajectories towards a goal are drawn by: an export gives the same policy each time."""


def adapted_to(goal: Sequence[float], learner: MetaLearner, family: Navigation) -> Tensors:
    """Learns a goal as in training: each inner step from trajectories of the policy before it.

    Args:
      goal: [2], in [−0.5, 0.5]².
      learner: a trained policy.
      family: the tasks that it was trained on.

    Returns:
      The weights after `inner_steps`, [1, ...].
    """
    environment = family.environment(1)
    collect = Collector(environment, learner.pure_model)

    @tf.function(autograph=False)
    def learn() -> Tensors:
        weights = initial_weights(learner, 1)
        for step in range(learner.inner_steps):
            seed = fold_in(SEED, step)
            environment.set_goals(tf.constant([goal]), fold_in(seed, 0))
            met = collect.in_tasks_as_set(weights, fold_in(seed, 1))
            weights = adapt_tasks(learner, weights, *family.advantages.examples(met))
        return weights

    return learn()


class _ActingPolicy(FastWeightsPolicy):
    """Takes the most likely action; its distribution is not available.

    A saved function that gives one of TensorFlow Probability's is read only where that is imported.
    """

    def _action(self, time_step, policy_state, seed):
        del seed
        step = super()._distribution(time_step, policy_state)
        return step._replace(action=step.action.mode())

    def _distribution(self, time_step, policy_state):
        raise NotImplementedError("a saved policy gives actions alone, not their distribution")


def save(weights: Tensors, learner: MetaLearner, family: Navigation, folder: pathlib.Path) -> None:
    """Writes the policy that takes the most likely action under these weights.

    Args:
      weights: what `adapted_to` gave.
      learner: whose model they are of.
      family: the tasks that they are for.
      folder: where to; made.
    """
    environment = family.environment(1)
    policy = _ActingPolicy(
        environment.time_step_spec(),
        environment.action_spec(),
        learner.pure_model,
        [tf.Variable(weight, trainable=False) for weight in weights],
    )
    # Moving averages, where a person's own network has some: they are written with what reads them.
    policy.state_read = [variable.value for variable in learner.pure_model.state]
    PolicySaver(policy).save(str(folder))
