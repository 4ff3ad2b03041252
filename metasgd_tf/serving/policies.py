"""A policy that answers requests: trajectories of some tasks in, actions for other states out.

A request is a batch of B tasks, each with N trajectories of H steps and M states to act in; all
four are free, and no task influences another.
"""

from collections.abc import Callable

import tensorflow as tf

from metasgd_tf.serving import checks
from metasgd_tf.serving.answers import answers
from metasgd_tf.serving.served import Reply
from metasgd_tf.tasks.navigation import Navigation
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.trajectories import Trajectories


def acting(learner: MetaLearner, family: Navigation) -> Callable[..., Reply]:
    """Traces how a policy adapts and acts.

    It adapts as in training, by the family's advantages, loss and α, except that all of
    `inner_steps` are made from the same trajectories: a request cannot sample new ones before each.

    Args:
      learner: a trained policy.
      family: the tasks that it was trained on.

    Returns:
      A function of observations [B, N, H, S], actions [B, N, H, A], rewards and mask [B, N, H],
      see `trainers.policies.trajectories.Trajectories`, and query observations [B, M, S], all
      float32 and of any rank, to be called in a graph. It gives the `actions` that are likeliest
      [B, M, A], not clipped, and the `standard_deviations` [B, M, A] of those that the
      adapted policy draws. H should be the horizon of training: the loss is a mean over N H steps,
      whether they count or not.
    """
    (state_size,) = family.input_shape
    action_size = family.output_size // 2
    adapted = answers(
        learner,
        tf.TensorSpec([None, state_size], tf.float32),
        tf.TensorSpec([None, action_size + 1], tf.float32),
    )

    def act(
        observations: tf.Tensor,
        actions: tf.Tensor,
        rewards: tf.Tensor,
        mask: tf.Tensor,
        query_observations: tf.Tensor,
    ) -> Reply:
        given = Trajectories(observations, actions, rewards, mask)
        given = checks.trajectories(given, family.input_shape, action_size)
        queries = checks.inputs("query_observations", query_observations, family.input_shape)
        queries = checks.same_tasks(
            "query_observations", queries, "observations", given.observations
        )
        inputs, targets = family.advantages.examples(given)
        outputs = adapted.answer(inputs, targets, queries, learner.inner_steps)
        said = policy_gradient.normal(outputs)
        reply = {"actions": said.mode(), "standard_deviations": said.stddev()}
        instead = "smaller observations, actions or rewards"
        return {name: checks.answers(value, instead) for name, value in reply.items()}

    return act
