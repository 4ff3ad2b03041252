"""Returns of a policy in tasks it has not seen, after each update from fresh trajectories."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from trainers.advantages import Advantages
from trainers.learner import MetaLearner
from trainers.policy_trainer import adapt_tasks
from trainers.rollouts import Collector, TaskEnvironment
from trainers.seeds import fold_in
from trainers.trajectories import Trajectories
from trainers.update_rule import Tensors


def learning(
    learner: MetaLearner, environment: TaskEnvironment, advantages: Advantages, steps: int
) -> Callable[[tf.Tensor, tf.Tensor], list[tuple[Tensors, Trajectories]]]:
    """Prepares learning the tasks of an environment, in graphs.

    Args:
      learner: what learns, as it is when the returned function is called.
      environment: where.
      advantages: how they are estimated.
      steps: updates, each from trajectories of the policy before it.

    Returns:
      A function from the tasks' seeds [T, 2] and a seed [2] for whatever differs between
      trajectories, to the weights of each task [T, ...] before each update and after the last one,
      and what these met.
    """
    collect = Collector(environment, learner.pure_model)

    def learn(task_seeds: tf.Tensor, seed: tf.Tensor) -> list[tuple[Tensors, Trajectories]]:
        weights = [
            tf.repeat(weight.value[tf.newaxis], environment.tasks, axis=0)
            for weight in learner.theta
        ]
        learned = []
        for step in range(steps + 1):
            trajectories = collect(weights, task_seeds, fold_in(seed, step))
            learned.append((weights, trajectories))
            if step < steps:
                weights = adapt_tasks(learner, weights, *advantages.examples(trajectories))
        return learned

    return learn


def policy_evaluation(
    learner: MetaLearner,
    environment: TaskEnvironment,
    advantages: Advantages,
    seed: tf.Tensor,
    count: int,
    steps: int,
) -> Callable[[], np.ndarray]:
    """Prepares judging a policy on `count` tasks.

    Args:
      learner: what is judged, as it is when the returned function is called.
      environment: where; so many tasks as it has are learned at once.
      advantages: how they are estimated.
      seed: [2], what the tasks are drawn by, each by its number.
      count: number of tasks.
      steps: updates.

    Returns:
      A function that gives the mean return of each task's trajectories, [count, steps + 1],
      float32; column 0 is before adaptation. Actions are sampled.
    """
    learn = learning(learner, environment, advantages, steps)

    @tf.function(autograph=False)
    def chunk(number: tf.Tensor) -> tf.Tensor:
        tasks = number * environment.tasks + tf.range(environment.tasks)
        seeds = tf.map_fn(lambda task: fold_in(seed, 0, task), tasks)
        learned = learn(seeds, fold_in(seed, 1, number))
        returns = [tf.reduce_mean(met.returns(), axis=1) for _, met in learned]
        return tf.stack(returns, axis=1)

    chunks = -(-count // environment.tasks)
    return lambda: np.concatenate([chunk(tf.constant(n)).numpy() for n in range(chunks)])[:count]
