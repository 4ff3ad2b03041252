"""Evaluates policies by their returns in unseen tasks, after each update on new trajectories."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.advantages import Advantages
from trainers.policies.experience import learning
from trainers.policies.rollouts import TaskEnvironment
from trainers.seeds import fold_in


def policy_evaluation(
    learner: MetaLearner,
    environment: TaskEnvironment,
    advantages: Advantages,
    count: int,
    steps: int,
) -> Callable[[tf.Tensor], np.ndarray]:
    """Prepares evaluating a policy on `count` tasks.

    Args:
      learner: the learner, with the values that it has when the returned function is called.
      environment: the environment; as many tasks as it has are learned at once.
      advantages: how the advantages in the inner steps are estimated.
      count: number of tasks.
      steps: number of updates.

    Returns:
      A function of a seed [2] (int32), which draws each task by the seed and the task's number. It
      returns the mean return of each task's trajectories, [count, steps + 1], float32; column 0 is
      before adaptation. Actions are sampled.
    """
    learn = learning(learner, environment, advantages, steps)

    @tf.function(autograph=False)
    def chunk(seed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        tasks = number * environment.tasks + tf.range(environment.tasks)
        seeds = tf.map_fn(lambda task: fold_in(seed, 0, task), tasks)
        learned = learn(seeds, fold_in(seed, 1, number))
        returns = [tf.reduce_mean(met.returns(), axis=1) for _, met in learned]
        return tf.stack(returns, axis=1)

    def returns(seed: tf.Tensor) -> np.ndarray:
        chunks = range(-(-count // environment.tasks))
        return np.concatenate([chunk(seed, tf.constant(n)).numpy() for n in chunks])[:count]

    return returns
