"""Learning many tasks at once from trajectories, and what the outer loop makes of it."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from trainers.devices import TASKS_IN_FLIGHT
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.advantages import Advantages
from trainers.policies.rollouts import Collector, TaskEnvironment, outputs_of_tasks
from trainers.policies.trajectories import Trajectories
from trainers.seeds import fold_in
from trainers.update_rule import Tensors

Learned = list[tuple[Tensors, Trajectories]]
"""The weights of each task [T, ...] before each update and after the last, and what these met."""


def learning(
    learner: MetaLearner, environment: TaskEnvironment, advantages: Advantages, steps: int
) -> Callable[[tf.Tensor, tf.Tensor], Learned]:
    """Prepares learning the tasks of an environment, in graphs.

    Args:
      learner: what learns, as it is when the returned function is called.
      environment: where.
      advantages: how they are estimated.
      steps: updates, each from trajectories of the policy before it.

    Returns:
      A function from the tasks' seeds [T, 2] and a seed [2] for whatever differs between
      trajectories, to what was learned and met.
    """
    collect = Collector(environment, learner.pure_model)

    def learn(task_seeds: tf.Tensor, seed: tf.Tensor) -> Learned:
        weights = initial_weights(learner, environment.tasks)
        learned = []
        for step in range(steps + 1):
            trajectories = collect(weights, task_seeds, fold_in(seed, step))
            learned.append((weights, trajectories))
            if step < steps:
                weights = adapt_tasks(learner, weights, *advantages.examples(trajectories))
        return learned

    return learn


def initial_weights(learner: MetaLearner, tasks: int) -> Tensors:
    """Returns θ as the weights of each task, [T, ...]."""
    return [tf.repeat(weight.value[tf.newaxis], tasks, axis=0) for weight in learner.theta]


def adapt_tasks(
    learner: MetaLearner, weights: Tensors, inputs: tf.Tensor, targets: tf.Tensor
) -> Tensors:
    """Makes one inner step in each task.

    Args:
      learner: whose α it is made by.
      weights: the weights of each task, [T, ...].
      inputs: states, [T, n, S].
      targets: actions and advantages, [T, n, A + 1].

    Returns:
      The weights after it, [T, ...].
    """
    return tf.map_fn(
        lambda task: learner.adapt(task[1], task[2], steps=1, theta=task[0]),
        (weights, inputs, targets),
        parallel_iterations=TASKS_IN_FLIGHT,
        fn_output_signature=[tf.TensorSpec(weight.shape[1:], weight.dtype) for weight in weights],
    )


class Experience(NamedTuple):
    """What a meta-batch was learned from; n = N H examples of each of T tasks.

    Attributes:
      support_inputs: states before each of K inner steps, [T, K, n, S].
      support_targets: actions and advantages, [T, K, n, A + 1].
      query_inputs: states after the last one, [T, n, S].
      query_targets: [T, n, A + 1].
      query_mask: [T, n].
      query_outputs: what the policies said that drew these actions, [T, n, 2 A].
    """

    support_inputs: tf.Tensor
    support_targets: tf.Tensor
    query_inputs: tf.Tensor
    query_targets: tf.Tensor
    query_mask: tf.Tensor
    query_outputs: tf.Tensor


def experience_of(
    learner: MetaLearner, learned: Learned, inner: Advantages, outer: Advantages
) -> Experience:
    """Returns what the outer loop needs of tasks that were learned.

    Args:
      learner: what learned them.
      learned: what `learning` gives.
      inner: how the advantages were estimated that they were learned by.
      outer: how those are estimated that the outer step is made by.
    """
    support = [inner.examples(met) for _, met in learned[:-1]]
    support_inputs, support_targets = (
        tf.stack(parts, axis=1) for parts in zip(*support, strict=True)
    )
    weights, met = learned[-1]
    inputs, targets = outer.examples(met)
    outputs = outputs_of_tasks(learner.pure_model, weights, inputs)
    mask = tf.reshape(met.mask, inputs.shape[:2])
    return Experience(support_inputs, support_targets, inputs, targets, mask, outputs)
