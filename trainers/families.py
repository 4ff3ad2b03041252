"""Distributions over tasks, and how a learner is trained and evaluated on each kind of them."""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from trainers.episodes import Protocol
from trainers.learners.learner import Learner
from trainers.supervised.evaluation import Scores

if TYPE_CHECKING:
    from matplotlib import figure


STANDARD = "standard"
"""What the usual way of drawing test tasks is called."""


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
      protocol_name: what the way is called in which test tasks are drawn, where there are several.
    """

    input_shape: Any
    output_size: int
    shots: int
    metric: str
    metric_mode: str
    metrics: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]
    protocol_name: str = STANDARD

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

    def data_digest(self) -> str:
        """Returns what tells the data that tasks are drawn from apart from others, in any process.

        By default nothing, as for tasks that are generated.
        """
        return ""

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
        task_batching: str = "auto",
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
        task_batching: str = "auto",
    ) -> Callable[[], list[Scores]]:
        """Prepares evaluating a learner.

        Args:
          learner: what is evaluated, as it is when the returned function is called.
          protocol: by how many tasks of what size.
          parts: which tasks.
          steps: inner steps; as many as this family is usually evaluated by if not given.
          task_batching: one of `supervised.meta_batch.BATCHINGS`: whether as many tasks as fit are
            one batch.

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
        """Draws the result of `shown`, given as arrays."""
