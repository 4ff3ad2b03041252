"""Reinforcement learning: 2D navigation (Li et al. 2017, Table 4)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from matplotlib import figure

from metasgd_tf.drawing import paths
from metasgd_tf.environments.navigation import Navigation2D, goals, moved
from models.gaussian_policy import gaussian_mlp
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.families import Family, Part
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies import policy_gradient
from trainers.policies.advantages import Advantages
from trainers.policies.evaluation import policy_evaluation
from trainers.policies.experience import learning
from trainers.policies.policy_trainer import PolicyTrainer
from trainers.policies.trajectories import Trajectories
from trainers.policies.trust_region import TrustRegion
from trainers.seeds import split_seed
from trainers.supervised.direction import direction_cosines
from trainers.supervised.evaluation import Scores

EVALUATION_TASKS = 600
EVALUATION_STEPS = 3
TOGETHER = 40
"""Tasks that are evaluated at once."""
SHOWN = 4


class Navigation(Family):
    """Moving to a goal that the policy can learn only from the rewards of earlier trajectories.

    The splits are the same distribution, drawn from under different seeds.
    """

    input_shape = (2,)
    output_size = 4
    metric = "return"
    metric_mode = "max"
    scores = ("return",)

    def __init__(
        self,
        environment: Callable[[int], Navigation2D],
        trajectories: int,
        *,
        advantages: Advantages,
        outer_advantages: Advantages,
        surrogate: str = "plain",
        times_deviation: bool = False,
        entropy_weight: float = 0.0,
        trust_region: float = 0.01,
    ):
        """Sets the environment, the sampling and the inner and outer losses.

        Args:
          environment: a function from a number of tasks to an environment.
          trajectories: trajectories per task before each update, and after the last one.
          advantages: how the advantages in the inner steps are estimated.
          outer_advantages: how the advantages in the outer step are estimated.
          surrogate: one of `policy_gradient.SURROGATES`.
          times_deviation: whether the inner loss is multiplied by the policy's standard deviation.
          entropy_weight: weight of the entropy in the inner loss.
          trust_region: the largest mean KL divergence of a step of TRPO.
        """
        self.environment = environment
        self.shots = trajectories
        self.advantages = advantages
        self._outer_advantages = outer_advantages
        self.metrics = {}
        self._surrogate = policy_gradient.SURROGATES[surrogate]
        self._times_deviation = times_deviation
        self._entropy_weight = entropy_weight
        self._trust_region = TrustRegion(trust_region)

    def model(self, seed: int) -> keras.Model:
        """Builds MAML's policy, 2-100-100-2 with a log standard deviation a coordinate."""
        return gaussian_mlp(self.input_shape, self.output_size, seed)

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the inner loss of each example, [N], see `trainers.policies.policy_gradient`."""
        loss = self._surrogate(targets, outputs)
        if self._times_deviation:
            loss *= policy_gradient.deviation(outputs)
        if self._entropy_weight:
            loss += self._entropy_weight * policy_gradient.entropy(outputs)
        return loss

    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the one protocol: `num_tasks` (600) goals with the trajectories of training."""
        return [Protocol(self.shots, num_tasks or EVALUATION_TASKS, repeats=1)]

    def trainer(
        self,
        learner: MetaLearner,
        optimizer: keras.optimizers.Optimizer | None,
        *,
        meta_batch_size: int,
        seed: int,
        task_batching: str = "auto",
    ) -> PolicyTrainer:
        """Returns a trainer by Algorithm 2, whose outer step is TRPO if no optimizer is given.

        Raises:
          InputError: for a `task_batching` of `side_by_side`.
        """
        if task_batching == "side_by_side":
            raise InputError(
                "task_batching=side_by_side: is for supervised tasks, and policies act in all "
                "tasks at once; should be batched or auto"
            )
        return PolicyTrainer(
            learner,
            self.environment(meta_batch_size),
            self._trust_region if optimizer is None else optimizer,
            inner_advantages=self.advantages,
            outer_advantages=self._outer_advantages,
            seed=seed,
        )

    def evaluation(
        self,
        learner: MetaLearner,
        protocol: Protocol,
        parts: Sequence[Part],
        *,
        steps: int | None = None,
        task_batching: str = "auto",
    ) -> Callable[[], list[Scores]]:
        """Prepares evaluating a learner by its returns, after 0 to `steps` (3) updates.

        `task_batching` changes nothing: policies act in all tasks at once.
        """
        del task_batching
        evaluate = policy_evaluation(
            learner,
            self.environment(TOGETHER),
            self.advantages,
            protocol.num_tasks,
            EVALUATION_STEPS if steps is None else steps,
        )
        return lambda: [{self.metric: evaluate(part.seed)} for part in parts]

    def direction(
        self, learner: MetaLearner, protocol: Protocol, part: Part, count: int
    ) -> Callable[[], dict[str, float]]:
        """Prepares measuring the learned direction on trajectories of the unadapted policy."""
        del protocol
        learn = learning(learner, self.environment(count), self.advantages, steps=0)

        # TF-Agents marks code that AutoGraph should convert; converting the rest gives warnings.
        @tf.autograph.experimental.do_not_convert
        def supports() -> tuple[tf.Tensor, tf.Tensor]:
            ((_, met),) = learn(split_seed(part.seed, count), part.seed)
            return self.advantages.examples(met)

        return direction_cosines(learner, supports)

    def shown(self, learner: MetaLearner, protocol: Protocol, part: Part) -> Callable[[], Any]:
        """Prepares collecting the paths in a few tasks before and after adaptation."""
        del protocol
        learn = learning(learner, self.environment(SHOWN), self.advantages, learner.inner_steps)

        @tf.function(autograph=False)
        def sampled() -> tuple[tf.Tensor, paths.Paths, paths.Paths]:
            seeds = split_seed(part.seed, SHOWN)
            learned = learn(seeds, part.seed)
            before, after = (_paths(met) for _, met in (learned[0], learned[-1]))
            return goals(seeds), before, after

        return sampled

    def draw(self, goals: np.ndarray, before: paths.Paths, after: paths.Paths) -> figure.Figure:
        """Draws the paths before and after adaptation, one column per goal."""
        return paths.draw(goals, {"before": before, "after": after})


def _paths(met: Trajectories) -> paths.Paths:
    """Returns all positions, the one after an episode's last action too."""
    reached = moved(met.observations, met.actions)
    mask = tf.concat([tf.ones_like(met.mask[..., :1]), met.mask], axis=-1)
    return paths.Paths(tf.concat([met.observations[..., :1, :], reached], axis=-2), mask)


def from_flags(settings: flags.FlagValues, splits: Sequence[str]) -> Navigation:
    """Makes the family that the flags of a run describe."""
    del splits
    return Navigation(
        functools.partial(
            Navigation2D,
            trajectories=settings.trajectories,
            horizon=settings.horizon,
            reward=settings.reward,
            start=settings.start,
        ),
        settings.trajectories,
        advantages=Advantages(
            settings.inner_discount,
            settings.inner_gae_lambda,
            settings.inner_normalise,
            settings.inner_times_reward,
        ),
        outer_advantages=Advantages(
            settings.outer_discount, settings.outer_gae_lambda, normalise=True
        ),
        surrogate=settings.surrogate,
        times_deviation=settings.times_deviation,
        entropy_weight=settings.entropy_weight,
        trust_region=settings.trust_region,
    )
