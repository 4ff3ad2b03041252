"""Distributions over tasks, and how a learner is trained and evaluated on each kind of them."""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainers.episodes import Episode, Protocol, Sampler
from trainers.errors import InputError
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


class Part(NamedTuple):
    """Tasks to evaluate a learner on.

    Attributes:
      split: one of `trainers.seeds.SPLITS`.
      seed: [2] (int32), what they are drawn by.
    """

    split: str
    seed: tf.Tensor


class Family(abc.ABC):
    """A distribution over tasks with its three splits, loss and protocol of evaluation.

    A new family is one module of `metasgd_tf.tasks` with a subclass of this, which for supervised
    tasks is one of `TaskFamily`.

    Attributes:
      input_shape: shape of one input, or whatever tells the network's function the shapes of
        several.
      output_size: number of outputs of a model for these tasks.
      shots: support examples in training (a class, in classification), or trajectories.
      metric: name of the score that tables report.
      metric_mode: whether the `min` or the `max` of that score is the best.
      metrics: by name, functions of (targets, outputs) that give one score an example.
    """

    input_shape: Any
    output_size: int
    shots: int
    metric: str
    metric_mode: str
    metrics: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]

    @property
    @abc.abstractmethod
    def scores(self) -> tuple[str, ...]:
        """The names of all that `evaluation` gives."""

    @property
    def input_spec(self) -> Any:
        """The inputs of one example: a `tf.TensorSpec`, or a dict, list or tuple of them.

        By default a tensor of `input_shape`, float32.
        """
        return tf.TensorSpec(self.input_shape, tf.float32)

    @abc.abstractmethod
    def model(self, seed: int) -> keras.Model:
        """Builds the network that the field uses for these tasks, its weights drawn by `seed`."""

    @abc.abstractmethod
    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, [N]."""

    @abc.abstractmethod
    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the protocols by which `evaluate` evaluates a run, `num_tasks` if it is given."""

    @abc.abstractmethod
    def trainer(
        self,
        learner: Learner,
        optimizer: keras.optimizers.Optimizer,
        *,
        meta_batch_size: int,
        seed: int,
    ) -> Any:
        """Prepares meta-training; gives a `MetaTrainer` or what can be used like one."""

    @abc.abstractmethod
    def evaluation(
        self,
        learner: Learner,
        protocol: Protocol,
        parts: Sequence[Part],
        *,
        steps: int | None = None,
    ) -> Callable[[], list[Scores]]:
        """Prepares evaluating a learner.

        Args:
          learner: what is evaluated, as it is when the returned function is called.
          protocol: by how many tasks of what size.
          parts: which tasks.
          steps: inner steps; as many as this family is usually evaluated by if not given.

        Returns:
          A function that gives the scores of each part: by name [num_tasks · repeats, steps + 1],
          column 0 before adaptation, and not a number for tasks that the protocol leaves out there.
        """

    @abc.abstractmethod
    def direction(
        self, learner: Learner, protocol: Protocol, part: Part, count: int
    ) -> Callable[[], dict[str, float]]:
        """Prepares measuring the learned direction on tasks, see `supervised.direction`."""

    @abc.abstractmethod
    def shown(self, learner: Learner, protocol: Protocol, part: Part) -> Callable[[], Any]:
        """Prepares an example of what a learner does in a task, as arguments of `draw`."""

    @abc.abstractmethod
    def draw(self, *shown: Any) -> "figure.Figure":
        """Draws what `shown` gave, as arrays."""


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
        """Refuses: these tasks have no usual network."""
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
    ) -> MetaTrainer:
        """Prepares Algorithm 1 on the split for training."""
        return MetaTrainer(
            learner, self.sampler("train"), optimizer, meta_batch_size=meta_batch_size, seed=seed
        )

    def evaluation(
        self,
        learner: Learner,
        protocol: Protocol,
        parts: Sequence[Part],
        *,
        steps: int | None = None,
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

        def supports() -> tuple[tf.Tensor, tf.Tensor]:
            drawn = draw.get_concrete_function(tf.TensorSpec([], tf.int32))
            inputs, targets = tf.nest.map_structure(
                tf.TensorSpec.from_tensor, tuple(drawn.structured_outputs[:2])
            )
            return tf.map_fn(
                lambda number: drawn(number)[:2],
                tf.range(count),
                fn_output_signature=(inputs, targets),
            )

        return direction_cosines(learner, supports)

    def shown(self, learner: Learner, protocol: Protocol, part: Part) -> Callable[[], Any]:
        """Prepares a task with the outputs for its query set before adaptation and after it.

        Of a learner that cannot answer before, both are those after it.
        """
        before_and_after = (0 if learner.predicts_unadapted else None, None)
        draw = self._numbered(protocol, part)

        @tf.function(autograph=False)
        def answered() -> tuple[Episode, tf.Tensor, tf.Tensor]:
            episode = draw(tf.constant(0))
            support = episode.support_inputs, episode.support_targets
            before, after = (
                learner.predict(learner.adapt(*support, steps=steps), episode.query_inputs)
                for steps in before_and_after
            )
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
