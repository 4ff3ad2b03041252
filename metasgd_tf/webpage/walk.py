"""The tab Walk: policies of 2D navigation explore, learn from that by one update and walk again."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from metasgd_tf import tasks
from metasgd_tf.environments.navigation import HALF_SIDE
from metasgd_tf.evaluation.restoring import restored_learner
from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.output.listing import counted
from metasgd_tf.tasks.navigation import Navigation
from metasgd_tf.webpage import reading
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.experience import adapt_tasks, initial_weights
from trainers.policies.rollouts import Collector
from trainers.policies.trajectories import Trajectories
from trainers.seeds import fold_in

FLAG = "walk_model_dirs"
RANGE = (-HALF_SIDE, HALF_SIDE)
Walked = tuple[Trajectories, Trajectories]


class WalkTab:
    """Walks of trained policies to goals that are clicked."""

    def __init__(self, model_dirs: Sequence[str]):
        """Restores the last checkpoint of each run.

        Raises:
          InputError: if there is none, or it is of another task or of an algorithm without updates.
        """
        self._policies: list[tuple[str, Callable[..., Walked]]] = []
        # An environment keeps its state in variables.
        self._alone = threading.Lock()
        for model_dir in model_dirs:
            settings = run_flags.read(model_dir, FLAG)
            if settings.task != "navigation":
                raise InputError(
                    f"{FLAG}={model_dir}: is of a run of {settings.task}; name runs of navigation"
                )
            family = tasks.from_flags(settings, ())
            learner, _ = restored_learner(family, settings, model_dir, flag=FLAG)
            assert isinstance(family, Navigation) and isinstance(learner, MetaLearner)
            name = ALGORITHMS[settings.algorithm].title
            trained = f"{settings.trajectories} walks, {counted(1, 'update')}"
            self._policies.append((f"{name}: {trained}", walking(family, learner)))
        # The first call traces the graphs.
        self.answer({"goal": [0, 0], "seed": 0})

    def answer(self, request: Any) -> dict[str, Any]:
        """Lets every policy walk to a goal before and after one update.

        Args:
          request: `goal`, [x, y] in [−0.5, 0.5]², and `seed`, what the actions are drawn by.

        Returns:
          `policies`, each a `name`, its walks `before` and `after`, lists of positions [x, y], and
          the mean return of each, `return_before` and `return_after`.

        Raises:
          RequestError: if the request is of another form.
        """
        goal = reading.point(reading.field(request, "goal"), "goal", RANGE, RANGE)
        seed = reading.seed(request)
        walked = []
        for name, walk in self._policies:
            with self._alone:
                moments = walk(tf.constant(goal), tf.constant([seed, 0]))
            one: dict[str, Any] = {"name": name}
            for moment, met in zip(("before", "after"), moments, strict=True):
                one[moment] = _paths(met)
                returned = np.sum(met.rewards.numpy(), axis=-1).mean()
                one[f"return_{moment}"] = round(float(returned), 2)
            walked.append(one)
        return {"policies": walked}


def walking(family: Navigation, learner: MetaLearner) -> Callable[..., Walked]:
    """Prepares walks of a policy before and after one update from the former.

    Args:
      family: the tasks that it was trained on.
      learner: the policy.

    Returns:
      A function from a goal [2] and a seed [2] to the trajectories of each moment, [1, N, H, ...].
    """
    environment = family.environment(1)
    collector = Collector(environment, learner.pure_model)
    collect = tf.function(collector.in_tasks_as_set, autograph=False)

    # TF-Agents marks code that AutoGraph should convert; converting the rest gives warnings.
    @tf.autograph.experimental.do_not_convert
    def walk(goal: tf.Tensor, seed: tf.Tensor) -> Walked:
        environment.set_goals(goal[tf.newaxis], fold_in(seed, 0))
        weights = initial_weights(learner, 1)
        before = collect(weights, fold_in(seed, 1))
        weights = adapt_tasks(learner, weights, *family.advantages.examples(before))
        environment.set_goals(goal[tf.newaxis], fold_in(seed, 2))
        return before, collect(weights, fold_in(seed, 3))

    return tf.function(
        walk,
        input_signature=[tf.TensorSpec([2]), tf.TensorSpec([2], tf.int32)],
        autograph=False,
    )


def _paths(met: Trajectories) -> list[list[list[float]]]:
    """Returns the positions of each walk until its end."""
    observations, mask = met.observations.numpy()[0], met.mask.numpy()[0]
    return [
        path[alive > 0].astype(float).round(3).tolist()
        for path, alive in zip(observations, mask, strict=True)
    ]
