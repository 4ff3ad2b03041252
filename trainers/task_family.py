"""Distributions over supervised tasks: how a learner is trained and evaluated on their episodes."""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from trainers.episodes import Episode, Protocol, Sampler
from trainers.errors import InputError
from trainers.families import Family, Part
from trainers.learners.learner import Learner
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in
from trainers.supervised.direction import direction_cosines
from trainers.supervised.evaluation import Scores, evaluation
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.supervised.task_figure import task_figure

if TYPE_CHECKING:
    from matplotlib import figure

EVALUATION_TASKS = 600


class TaskFamily(Family):
    """A distribution over supervised tasks, which are drawn as episodes.

    A family has to have the attributes of `Family`, `episode` and `loss`; the rest may be replaced.
    The conformance test runs every one.

    Attributes:
      classifies: whether targets are class numbers, and outputs the classes' logits.
    """

    classifies: bool = False

    @property
    def scores(self) -> tuple[str, ...]:
        """The loss, and the metrics."""
        return ("loss", *self.metrics)

    @property
    def target_spec(self) -> Any:
        """The targets of one example, as `input_spec` describes the inputs.

        By default a class number (int32), or for regression [output_size], float32.
        """
        if self.classifies:
            return tf.TensorSpec((), tf.int32)
        return tf.TensorSpec((self.output_size,), tf.float32)

    @abc.abstractmethod
    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws one task of a split, sized as in training."""

    def model(self, seed: int) -> keras.Model:
        """Raises an error, as these tasks have no default network."""
        del seed
        raise InputError(
            f"model: {type(self).__name__} has no network of its own; name one by "
            "--model=package.module:function"
        )

    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns one protocol: `num_tasks` (600) tasks of the shots of training."""
        return [Protocol(self.shots, num_tasks or EVALUATION_TASKS, repeats=1)]

    def evaluation_episode(
        self, seed: tf.Tensor, split: str, protocol: Protocol, task: tf.Tensor, repeat: tf.Tensor
    ) -> Episode:
        """Draws support set `repeat` of task `task`: the same task for every repeat and shots.

        By default one of `episode`, which is all that protocols of one repeat need.
        """
        del protocol, repeat
        return self.episode(fold_in(seed, task), split)

    def draw(self, episode: Episode, before: np.ndarray, after: np.ndarray) -> "figure.Figure":
        """Draws an evaluation task and the outputs for its query set, all as arrays.

        Args:
          episode: what `evaluation_episode` gave.
          before: the outputs before adaptation, [M, ...].
          after: and after it.
        """
        return task_figure(episode, before, after)

    def sampler(self, split: str) -> Sampler:
        """Returns the function from seeds to training-sized episodes of a split."""
        return tf.autograph.experimental.do_not_convert(lambda seed: self.episode(seed, split))

    def trainer(
        self,
        learner: Learner,
        optimizer: keras.optimizers.Optimizer,
        *,
        meta_batch_size: int,
        seed: int,
        task_batching: str = "auto",
    ) -> MetaTrainer:
        """Prepares Algorithm 1 on the split for training."""
        return MetaTrainer(
            learner,
            self.sampler("train"),
            optimizer,
            meta_batch_size=meta_batch_size,
            seed=seed,
            task_batching=task_batching,
            classes=self.output_size if self.classifies else None,
        )

    def evaluation(
        self,
        learner: Learner,
        protocol: Protocol,
        parts: Sequence[Part],
        *,
        steps: int | None = None,
        task_batching: str = "auto",
    ) -> Callable[[], list[Scores]]:
        """Prepares an evaluation, see `Family.evaluation`; `steps` defaults to the learner's own.

        All parts are one program, as compiling takes longer than many evaluations.
        """
        count = protocol.num_tasks * protocol.repeats
        draws = [self._numbered(protocol, part) for part in parts]

        def episode(number: tf.Tensor) -> Episode:
            if len(draws) == 1:
                return draws[0](number)
            task = number % count
            return tf.switch_case(number // count, [lambda draw=draw: draw(task) for draw in draws])

        def before(number: tf.Tensor) -> tf.Tensor:
            return number % count < protocol.scored(0) * protocol.repeats

        evaluate = evaluation(
            learner,
            episode,
            count * len(parts),
            steps=steps,
            before=None if protocol.before is None else before,
            block=count,  # Splits may differ in how many queries a class leaves.
            task_batching=task_batching,
        )

        def by_part() -> list[Scores]:
            split = {name: np.split(values, len(parts)) for name, values in evaluate().items()}
            return [
                {name: values[number] for name, values in split.items()}
                for number in range(len(parts))
            ]

        return by_part

    def direction(
        self, learner: Learner, protocol: Protocol, part: Part, count: int
    ) -> Callable[[], dict[str, float]]:
        """Prepares measuring the learned direction, see `Family.direction`."""
        if not isinstance(learner, MetaLearner):
            return dict
        draw = tf.function(self._numbered(protocol, part), autograph=False)
        return direction_cosines(learner, lambda: tf.range(count), lambda number: draw(number)[:2])

    def shown(self, learner: Learner, protocol: Protocol, part: Part) -> Callable[[], Any]:
        """Prepares a task with the outputs for its query set before adaptation and after it.

        Of a learner that cannot answer before, both are those after it.
        """
        draw = self._numbered(protocol, part)

        @tf.function(autograph=False)
        def answered() -> tuple[Episode, tf.Tensor, tf.Tensor]:
            episode = draw(tf.constant(0))
            support = episode.support_inputs, episode.support_targets
            after = learner.predict(learner.adapt(*support), episode.query_inputs)
            if not learner.predicts_unadapted:
                return episode, after, after
            before = learner.predict(learner.adapt(*support, steps=0), episode.query_inputs)
            return episode, before, after

        return answered

    def _numbered(self, protocol: Protocol, part: Part) -> Callable[[tf.Tensor], Episode]:
        """Returns the function from numbers to a part's episodes, a task's repeats together."""
        return lambda number: self.evaluation_episode(
            part.seed,
            part.split,
            protocol,
            number // protocol.repeats,
            number % protocol.repeats,
        )
