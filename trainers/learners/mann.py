"""MANN: a network with an external memory that is shown a task's examples one after the other.

    (h_t, M_t) = step(x_t, y_{t−1}, h_{t−1}, M_{t−1}),   ŷ_t = f(h_t, M_t)
    outer loss: mean_t L(ŷ_t, y_t)

What is learned of a task is the state of the network, its memory M above all. Its weights stay as
they are, and no gradient is taken to learn a task.

Source: Santoro et al. 2016, sections 2 and 3; the network is `models.memory_network`. Where this
had to choose:

* The paper shows a sequence of 50 images and scores each one. Here an episode's support set is
  shown, and each query is what comes next after it: what a query writes is forgotten, so that no
  query sees another.
* The support set is shown in a random order, which outside training is always the same. Episodes
  have it class by class, and training has no such sequences. In training the order is drawn by a
  seed that is not the task's own, so that it tells nothing of the task.
* `train_on="sequences"` is the paper's objective, on support and query set together. Each class
  comes up equally often in a sequence, so that classes that have been shown less are likelier:
  counting them, without looking at an image, lowers the loss of 5 classes of 10 images each from
  ln 5 = 1.61 to 1.46.
* `train_on="episodes"` is the loss of the queries alone, which counting does not lower.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from models.memory_network import initial_states
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.seeds import fold_in, uniform
from trainers.stateless.gradient_scale import precisions
from trainers.stateless.pure_model import Output, PureModel
from trainers.stateless.scores import Score, scores_of

TRAIN_ON = ("sequences", "episodes")
ORDER = (0, 0)
"""The seed of the support set's order outside training."""

State = dict[str, Any]


class Mann(Learner):
    """A memory network that learns a task by being shown its support set.

    Attributes:
      model: a `memory_network`.
      classes: whether labels are class numbers.
      train_on: one of `TRAIN_ON`.
    """

    batches_tasks = True

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        *,
        classes: bool,
        metrics: Mapping[str, Score] | None = None,
        train_on: str = "sequences",
    ):
        """Wraps a network.

        Args:
          model: a `memory_network`.
          loss: a Keras loss of (targets, outputs) by name, function or object.
          classes: whether targets are class numbers, which are shown as ones and zeros; else they
            are shown as they are.
          metrics: further scores of (targets, outputs) by name.
          train_on: one of `TRAIN_ON`.

        Raises:
          InputError: for an unknown `train_on`, a metric of a reserved name, a model that is no
            `memory_network`, one that computes in half precision, or one whose embedding
            normalises by batches, draws at random or keeps a state besides.
        """
        super().__init__(name="mann")
        if "memory" not in {layer.name for layer in model.layers}:
            raise InputError(f"model={model.name!r}: has no memory; should be a memory_network")
        if train_on not in TRAIN_ON:
            raise InputError(f"train_on={train_on!r}: should be one of {', '.join(TRAIN_ON)}")
        half = precisions(model) & {"float16", "bfloat16"}
        if half:
            raise InputError(
                f"model={model.name!r}: computes in {', '.join(sorted(half))} and keeps what it is "
                "shown in a memory that has no half precision; should be built in float32"
            )
        self.model = model
        self.classes = classes
        self.train_on = train_on
        self.pure_model = PureModel(model)
        if self.pure_model.state or self.pure_model.draws:
            raise InputError(
                f"model={model.name!r}: its embedding has batch normalisation, dropout or another "
                "layer whose outputs for an example are not a function of it alone; should have "
                "none, as models.conv4:conv4_image_norm_64"
            )
        self.scores = scores_of(loss, metrics)
        self._label_size = model.output_shape[0][-1]

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """The network's weights."""
        return list(self.pure_model.weights)

    @property
    def train_classes(self) -> int | None:
        """The network's outputs, where labels are class numbers."""
        return self._label_size if self.classes else None

    @property
    def numbers_per_query(self) -> int:
        """The state's numbers, as each query has one of its own."""
        return sum(self.model.get_layer("memory").state_size)

    def adapt(
        self,
        inputs: Any,
        targets: Any,
        *,
        steps: int | None = None,
        values: Sequence[tf.Tensor] | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> State:
        """Shows a support set; a pure function.

        Args:
          inputs: [N, ...].
          targets: [N, ...].
          steps: 0, for the state before anything is shown, or 1; more are no different from 1.
          values: weights to use in place of the network's own.
          training: without an effect.
          seed: [2], what the order of the examples is drawn by.

        Returns:
          The network's states, the label that was shown last, and `values`, where they were given.
        """
        states, previous = initial_states(self.model, 1), tf.zeros([1, self._label_size])
        if steps != 0:
            order = tf.constant(ORDER) if seed is None else _of_order(seed)
            sequence = _in_random_order(inputs[tf.newaxis], targets[tf.newaxis], [order])
            states = self._shown(values, *sequence, training=training).outputs[1]
            previous = self._labels(sequence[1])[:, -1]
        state = {"states": [value[0] for value in states], "previous": previous[0]}
        return state if values is None else state | {"values": list(values)}

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[State]:
        """Returns the state before the support set, and `steps` times the one after it."""
        learned = [self.adapt(inputs, targets)] if steps else []
        return [self.adapt(inputs, targets, steps=0), *learned * steps]

    def predict(self, state: State, inputs: Any) -> tf.Tensor:
        """Returns the outputs [M, ...] for queries [M, ...], each shown next after the support."""
        return self._answer(state, inputs, training=False)[0]

    def score(
        self,
        state: State,
        inputs: Any,
        targets: Any,
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the loss and the metrics on some queries, see `Learner.score`."""
        del seed
        return self.means(targets, *self._answer(state, inputs, training=training)), []

    def objective(
        self, values: Sequence[tf.Tensor], episode: Episode, seed: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the loss of `train_on`, and the scores of the same pass."""
        episodes = tf.nest.map_structure(lambda part: part[tf.newaxis], episode)
        return self.mean_objective(values, episodes, seed[tf.newaxis], iteration)

    def mean_objective(
        self, values: Sequence[tf.Tensor], episodes: Episode, seeds: tf.Tensor, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the means over tasks of what `objective` gives, see `Learner`."""
        del iteration
        shown = episodes.support_inputs, episodes.support_targets
        asked = episodes.query_inputs, episodes.query_targets
        if self.train_on == "sequences":
            shown = tuple(tf.concat(parts, axis=1) for parts in zip(shown, asked, strict=True))
        sequences = _in_random_order(*shown, [_of_order(seed) for seed in tf.unstack(seeds)])
        output = self._shown(values, *sequences, training=True)
        targets = sequences[1]
        if self.train_on == "episodes":
            previous = self._labels(targets)[:, -1]
            output = self._asked(values, output.outputs[1], previous, asked[0], training=True)
            targets = asked[1]
        scores = self.means(_together(targets), _together(output.outputs[0]), output.penalty)
        return scores["loss"], scores, []

    def answer_sequence(self, inputs: Any, targets: Any) -> tf.Tensor:
        """Shows a sequence in the order given and returns what is answered before each label.

        Args:
          inputs: [T, ...].
          targets: [T, ...].

        Returns:
          [T, ...].
        """
        output = self._shown(None, inputs[tf.newaxis], targets[tf.newaxis], training=False)
        return output.outputs[0][0]

    def _answer(self, state: State, inputs: Any, *, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        states = [value[tf.newaxis] for value in state["states"]]
        output = self._asked(
            state.get("values"),
            states,
            state["previous"][tf.newaxis],
            inputs[tf.newaxis],
            training=training,
        )
        return output.outputs[0][:, 0], output.penalty

    def _asked(
        self, values: Any, states: Any, previous: tf.Tensor, inputs: tf.Tensor, *, training: bool
    ) -> Output:
        """Shows each query of [B, M, ...] to states of its own; outputs are [B · M, 1, ...]."""
        count = tf.shape(inputs)[1]
        previous, *states = (tf.repeat(value, count, axis=0) for value in (previous, *states))
        queries = _together(inputs)[:, tf.newaxis]
        return self._run(values, queries, previous[:, tf.newaxis], states, training)

    def _shown(
        self, values: Any, inputs: tf.Tensor, targets: tf.Tensor, *, training: bool
    ) -> Output:
        """Shows sequences [B, T, ...] from their beginning."""
        labels = self._labels(targets)
        previous = tf.pad(labels[:, :-1], [[0, 0], [1, 0], [0, 0]])
        states = initial_states(self.model, tf.shape(inputs)[0])
        return self._run(values, inputs, previous, states, training)

    def _run(
        self, values: Any, inputs: tf.Tensor, previous: tf.Tensor, states: Any, training: bool
    ) -> Output:
        weights = values or [weight.value for weight in self.pure_model.weights]
        given = {"inputs": inputs, "previous": previous, "states": states}
        return self.pure_model(weights, given, training=training)

    def _labels(self, targets: tf.Tensor) -> tf.Tensor:
        """Returns targets [B, T, ...] as they are shown, [B, T, label size]."""
        if self.classes:
            return tf.one_hot(targets, self._label_size)
        shape = [*tf.unstack(tf.shape(targets)[:2]), self._label_size]
        return tf.reshape(tf.cast(targets, tf.float32), shape)


def _of_order(seed: tf.Tensor) -> tf.Tensor:
    """Returns what an order is drawn by, as the task may have been drawn by the seed itself."""
    return fold_in(seed, -1)


def _in_random_order(
    inputs: tf.Tensor, targets: tf.Tensor, seeds: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the examples [B, T, ...] of each task in an order drawn by its seed."""
    count = inputs.shape[1] or tf.shape(inputs)[1]
    order = tf.stack([tf.argsort(uniform(seed, [count])) for seed in seeds])
    return tuple(tf.gather(part, order, batch_dims=1) for part in (inputs, targets))


def _together(values: tf.Tensor) -> tf.Tensor:
    """Returns [B, N, ...] as [B · N, ...]."""
    return tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], axis=0))
