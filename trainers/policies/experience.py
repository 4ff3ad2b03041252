"""Adaptation to many tasks at once from trajectories, and the data for the outer step."""

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
"""Each task's weights [T, ...] and trajectories, before each update and after the last."""


def learning(
    learner: MetaLearner, environment: TaskEnvironment, advantages: Advantages, steps: int
) -> Callable[[tf.Tensor, tf.Tensor], Learned]:
    """Prepares adaptation to the tasks of an environment, to be called in a `tf.function`.

    Args:
      learner: the learner, with the values that it has when the returned function is called.
      environment: the environment of the tasks.
      advantages: how the advantages in the inner steps are estimated.
      steps: number of updates, each on trajectories of the policy before it.

    Returns:
      A function from the tasks' seeds [T, 2], and a seed [2] for whatever differs between
      trajectories, to the weights and the trajectories of each step.
    """
    collector = Collector(environment, learner.pure_model)
    # Functions, so that each is traced once however many steps there are.
    collect = tf.function(lambda *given: collector(*given), autograph=False)
    adapt = tf.function(
        lambda weights, met: adapt_tasks(learner, weights, *advantages.examples(met)),
        autograph=False,
    )

    def learn(task_seeds: tf.Tensor, seed: tf.Tensor) -> Learned:
        weights = initial_weights(learner, environment.tasks)
        learned = []
        for step in range(steps + 1):
            trajectories = collect(weights, task_seeds, fold_in(seed, step))
            learned.append((weights, trajectories))
            if step < steps:
                weights = adapt(weights, trajectories)
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
      learner: the learner, whose α is used.
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
    """The examples of a meta-batch: n = N H of each of T tasks, at each step.

    Attributes:
      support_inputs: states before each of K inner steps, [T, K, n, S].
      support_targets: actions and advantages, [T, K, n, A + 1].
      query_inputs: states after the last inner step, [T, n, S].
      query_targets: actions and advantages, [T, n, A + 1].
      query_mask: 1 until an episode's end and 0 after it, [T, n].
      query_outputs: outputs of the policies that drew these actions, [T, n, 2 A].
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
    """Returns the data that the outer step needs.

    Args:
      learner: the learner that adapted.
      learned: the result of the function that `learning` returns.
      inner: how the advantages in the inner steps were estimated.
      outer: how the advantages in the outer step are estimated.
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
