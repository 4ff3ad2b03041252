"""What learners that compare embeddings share: a query is answered by the support images near it.

    Snell et al. 2017 (prototypes), Vinyals et al. 2016 (attention), Koch et al. 2015 (pairs)

Nothing is differentiated to learn a task, so that α has no place here.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.seeds import fold_in
from trainers.stateless.batch_norm import of_the_support_set, refuse_unknown
from trainers.stateless.pure_model import Output, PureModel
from trainers.stateless.scores import Score, scores_of

State = dict[str, Any]

ABSENT = -1e9
"""The logit of a class that the support set has no image of."""


class EmbeddingLearner(Learner):
    """Embeds a support set, keeps something of it, and compares embedded queries with that.

    Attributes:
      model: the embedding, a Keras model from [N, ...] to vectors [N, D].
      ways: classes of a task.
      batch_norm: as `FastWeightsLearner` has it.
      own_variables: what is meta-trained besides the embedding, such as the weights of a distance.
    """

    predicts_unadapted = False

    def __init__(
        self,
        model: keras.Model,
        loss: str | Score,
        ways: int,
        *,
        train_ways: int | None = None,
        metrics: Mapping[str, Score] | None = None,
        batch_norm: str = "transductive",
    ):
        """Wraps an embedding.

        Args:
          model: a built Keras model whose outputs are vectors [N, D].
          loss: a Keras loss of (class numbers, logits) by name, function or object.
          ways: classes of a task.
          train_ways: classes of a task in meta-training; `ways` if not given.
          metrics: further scores of (class numbers, logits) by name.
          batch_norm: one of `trainers.stateless.batch_norm.BATCH_NORMS`.

        Raises:
          InputError: for an unknown `batch_norm`, a model that does not give vectors, or a metric
            of a reserved name.
        """
        super().__init__(name=type(self).__name__)
        refuse_unknown(batch_norm)
        shape = getattr(model, "output_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 2:
            raise InputError(
                f"model={model.name!r}: gives outputs of shape {shape}; should give vectors [N, D]"
            )
        self.model = model
        self.ways = ways
        self.batch_norm = batch_norm
        self.pure_model = PureModel(model)
        self.scale = self.pure_model.scale
        self.scores = scores_of(loss, metrics)
        self.own_variables: list[keras.Variable | tf.Variable] = []
        self._train_ways = train_ways or ways

    @property
    def meta_variables(self) -> list[keras.Variable | tf.Variable]:
        """The weights of the embedding, and the learner's own variables."""
        return [*self.pure_model.weights, *self.own_variables]

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """The embedding's other variables, such as moving averages."""
        return self.pure_model.state

    @property
    def kept_variables(self) -> list[keras.Variable]:
        """Those of them that calls leave as they are, such as a frozen layer's."""
        return self.pure_model.kept

    @property
    def normalises_together(self) -> bool:
        """Whether batch normalisation uses the statistics of the queries."""
        return self.batch_norm == "transductive" and self.pure_model.has_own_statistics

    @property
    def has_other_train_ways(self) -> bool:
        """Whether a task of training has other ways than one of evaluation."""
        return self._train_ways != self.ways

    @property
    def train_classes(self) -> int:
        """The ways of training."""
        return self._train_ways

    @abc.abstractmethod
    def keep(
        self, embedded: tf.Tensor, classes: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns what is kept of a support set.

        Args:
          embedded: [N, D].
          classes: which class each is of, [N, ways], ones and zeros.
          own: values of `own_variables`.
        """

    @abc.abstractmethod
    def logits(
        self, kept: dict[str, tf.Tensor], embedded: tf.Tensor, own: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns logits [M, ways] of embedded queries [M, D]."""

    def means_of_queries(
        self, kept: dict[str, tf.Tensor], queries: Output, targets: Any, own: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the loss and the metrics of embedded queries, see `Learner.score`."""
        return self.means(targets, self.logits(kept, queries.outputs, own), queries.penalty)

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
        """Embeds a support set; a pure function.

        Args:
          inputs: [N, ...].
          targets: class numbers, [N].
          steps: 0 or 1, which are the same: there is nothing before.
          values: weights of the embedding and `own_variables` to use in place of their values.
          training: whether dropout is active, and tasks have the classes of meta-training.
          seed: [2], what dropout draws from.

        Returns:
          What `keep` gives; `values`, where they were given; and the statistics of the support set,
          where batch normalisation uses those.
        """
        del steps
        embedded = self._embed(values, inputs, training=training, seed=seed)
        ways = self._train_ways if training else self.ways
        classes = tf.one_hot(targets, ways, dtype=embedded.outputs.dtype)
        state: State = {"kept": self.keep(embedded.outputs, classes, self._own(values))}
        if values is not None:
            state["values"] = list(values)
        if self.batch_norm == "support" and self.pure_model.batch_norms:
            norms = self.pure_model.batch_norms
            state["statistics"] = of_the_support_set(norms, embedded.statistics)
        return state

    def adapt_stepwise(self, inputs: Any, targets: Any, steps: int) -> list[State]:
        """Returns the one state there is for each number of steps."""
        return [self.adapt(inputs, targets)] * (steps + 1)

    def predict(self, state: State, inputs: Any) -> tf.Tensor:
        """Returns logits [M, ways] of query inputs [M, ...]."""
        queries = self._embed_queries(state, inputs, training=False, seed=None)
        return self.logits(state["kept"], queries.outputs, self._own(state.get("values")))

    def score(
        self,
        state: State,
        inputs: Any,
        targets: Any,
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns the loss and the metrics on some examples, see `Learner.score`."""
        queries = self._embed_queries(state, inputs, training=training, seed=seed)
        own = self._own(state.get("values"))
        return self.means_of_queries(state["kept"], queries, targets, own), queries.state

    def _embed_queries(
        self, state: State, inputs: Any, *, training: bool, seed: tf.Tensor | None
    ) -> Output:
        return self._embed(
            state.get("values"),
            inputs,
            training=training,
            seed=seed if seed is None else fold_in(seed, 1),
            statistics=state.get("statistics"),
        )

    def _embed(
        self,
        values: Sequence[tf.Tensor] | None,
        inputs: Any,
        *,
        training: bool,
        seed: tf.Tensor | None,
        statistics: list[tf.Tensor] | None = None,
    ) -> Output:
        count = len(self.pure_model.weights)
        weights = values[:count] if values else [w.value for w in self.pure_model.weights]
        return self.pure_model(weights, inputs, training=training, seed=seed, statistics=statistics)

    def _own(self, values: Sequence[tf.Tensor] | None) -> list[tf.Tensor]:
        if values:
            return list(values[len(self.pure_model.weights) :])
        return [tf.convert_to_tensor(variable) for variable in self.own_variables]


def without_last_layer(model: keras.Model) -> keras.Model:
    """Returns a classifier's embedding: what its last layer with weights is given.

    Args:
      model: a sequential or functional Keras model with one input and one output, and so are the
        models within it that its last layer lies in. What follows its last layer with weights,
        such as an activation, has one input too.

    Raises:
      InputError: if it, or such a model within it, has a `call` of its own.
    """
    embedded = _given_to_last_layer(model)
    return keras.Model(model.inputs, embedded, name=f"{model.name}_embedding")


def _given_to_last_layer(model: keras.Model) -> keras.KerasTensor:
    try:
        (output,) = model.outputs
        last, given = _made_by(output)
        while not getattr(last, "trainable_variables", []):
            last, given = _made_by(given)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"model={model.name!r}: has a call of its own, of which the last layer cannot be taken "
            "away; give a Sequential or functional model"
        ) from error
    if not isinstance(last, keras.Model):
        return given
    within = _given_to_last_layer(last)
    return keras.Model(last.inputs[0], within, name=f"{last.name}_embedding")(given)


def _made_by(output: keras.KerasTensor) -> tuple[keras.Operation, keras.KerasTensor]:
    """Returns the operation that made a tensor, and the one tensor that it was given."""
    operation, call, _ = output._keras_history
    (given,) = operation._inbound_nodes[call].input_tensors
    return operation, given
