"""A learner that answers requests: each request is checked, answered and checked again.

A request is a batch of B tasks, each with N support and M query examples; all three are free, and
no task influences another.
"""

from typing import Any

import tensorflow as tf

from metasgd_tf.serving import checks, task_spec
from metasgd_tf.serving.answers import Steps, answers
from metasgd_tf.serving.task_spec import TaskSpec
from trainers.errors import InputError
from trainers.learners.embeddings.embedding_learner import EmbeddingLearner
from trainers.learners.learner import Learner
from trainers.stateless.logits import refuse_probabilities

IMAGES_AT_ONCE = 2
"""Images that are decoded side by side; each may take some hundred megabytes."""

Reply = dict[str, tf.Tensor]


class ServedLearner:
    """A learner as functions of requests, to be called in a graph with tensors of any rank.

    Inputs and targets are tensors, or nested structures of them as the model and the loss take
    them.

    Attributes:
      learner: the learner.
      support_inputs: by names, the specs of what the learner adapts to, [B, N, ...].
      support_targets: the specs of its targets, [B, N, ...].
      query_inputs: the specs of its queries, [B, M, ...].
      images: the tasks, where requests may hold images as files.
      state_size: numbers that `adapt` makes of a task; None if they depend on how many support
        examples it has.
      smallest_state: how many they are for one support example.
      ways: classes, 0 where outputs are no logits of classes.
    """

    def __init__(self, learner: Learner, spec: TaskSpec, *, batched: bool = False):
        """Traces how the learner adapts and predicts.

        Args:
          learner: the learner.
          spec: its tasks.
          batched: whether each operation is done for many tasks at once.

        Raises:
          InputError: if the tasks are classification and the outputs are no logits.
        """
        self.learner = learner
        self.images = spec.images
        self.support_inputs = task_spec.named("support_inputs", spec.inputs)
        self.support_targets = task_spec.named("support_targets", spec.targets)
        self.query_inputs = task_spec.named("query_inputs", spec.inputs)
        self._answers = answers(
            learner,
            task_spec.of_examples(spec.inputs),
            task_spec.of_examples(spec.targets),
            batched=batched,
        )
        self._predictions = task_spec.names("predictions", self._answers.outputs)
        # A function of its own so that an export holds once what all signatures of images share.
        self._decoded = tf.function(
            self._decode, input_signature=[tf.TensorSpec([None, None], tf.string)], autograph=False
        )
        # Which classes the support set has goes with what the learner keeps.
        self.ways = _ways(self._answers.outputs) if spec.classifies else 0
        # An embedding may end in anything: the logits are made by comparing.
        if self.ways and not isinstance(learner, EmbeddingLearner):
            refuse_probabilities(learner.model)
        # Those that do not depend on the number of examples.
        self._fixed_size = self._answers.size + self.ways
        self.state_size = None if self._answers.size_per_example else self._fixed_size
        self.smallest_state = self._fixed_size + self._answers.size_per_example

    def answer(
        self, support_inputs: Any, support_targets: Any, query_inputs: Any, inner_steps: Steps
    ) -> Reply:
        """Adapts to each task's support set and answers its queries.

        Args:
          support_inputs: [B, N, ...].
          support_targets: [B, N, ...]; class numbers [B, N] in classification.
          query_inputs: [B, M, ...].
          inner_steps: an int, or a scalar tensor (int32), which is checked.

        Returns:
          `probabilities` [B, M, ways] and `classes` [B, M], or `predictions` [B, M, ...], of which
          there are several for a model of several outputs, such as `predictions_0`.
        """
        inner_steps = _checked_steps(inner_steps)
        inputs, targets = self._support(support_inputs, support_targets)
        queries = self._queries(query_inputs, inputs)
        outputs = self._answers.answer(inputs, targets, queries, inner_steps)
        return self._reply(outputs, self._present(targets))

    def answer_images(
        self,
        support_inputs: tf.Tensor,
        support_targets: tf.Tensor,
        query_inputs: tf.Tensor,
        inner_steps: Steps,
    ) -> Reply:
        """Does what `answer` does with PNG or JPEG files, [B, N] and [B, M] (string)."""
        inner_steps = _checked_steps(inner_steps)
        files = checks.examples("support_inputs", support_inputs, ())
        targets = self._targets(support_targets, "support_inputs", files)
        query_files = checks.examples("query_inputs", query_inputs, ())
        query_files = checks.same_tasks("query_inputs", query_files, "support_inputs", files)
        # What is cheap to refuse is refused before anything is decoded.
        with tf.control_dependencies([targets, query_files]):
            files = tf.identity(files)
        inputs, queries = (self._decoded(encoded) for encoded in (files, query_files))
        outputs = self._answers.answer(inputs, targets, queries, inner_steps)
        return self._reply(outputs, self._present(targets))

    def adapt(self, support_inputs: Any, support_targets: Any, inner_steps: Steps) -> Reply:
        """Adapts to each task's support set, as `answer` does.

        Returns:
          `state` [B, state_size]: fast weights, what else belongs to them, and which classes the
          support set has.
        """
        inner_steps = _checked_steps(inner_steps)
        inputs, targets = self._support(support_inputs, support_targets)
        state = self._answers.adapt(inputs, targets, inner_steps)
        if self.ways:
            state = tf.concat([state, tf.cast(self._present(targets), tf.float32)], axis=1)
        return {"state": checks.answers(state)}

    def predict(self, state: tf.Tensor, query_inputs: Any) -> Reply:
        """Answers queries [B, M, ...] with what `adapt` made of their tasks."""
        state = checks.state(state, self._fixed_size, self._answers.size_per_example, self.ways)
        queries = self._queries(query_inputs, state, "state")
        kept = tf.shape(state)[1] - self.ways
        outputs = self._answers.predict(state[:, :kept], queries)
        return self._reply(outputs, state[:, kept:] > 0 if self.ways else None)

    def _support(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        inputs = _checked_inputs(inputs, self.support_inputs)
        first, *_ = zip(_names(self.support_inputs), tf.nest.flatten(inputs), strict=True)
        return inputs, self._targets(targets, *first)

    def _targets(self, targets: Any, other: str, beside: tf.Tensor) -> Any:
        if self.ways:
            name = self.support_targets.name
            return checks.class_numbers(name, targets, other, beside, self.ways)
        targets = _checked_inputs(targets, self.support_targets)
        flat = [
            checks.as_many(name, value, other, beside)
            for name, value in zip(
                _names(self.support_targets), tf.nest.flatten(targets), strict=True
            )
        ]
        return tf.nest.pack_sequence_as(targets, flat)

    def _queries(self, queries: Any, beside: Any, other: str = "") -> Any:
        queries = _checked_inputs(queries, self.query_inputs)
        name, *_ = _names(self.query_inputs)
        first, *rest = tf.nest.flatten(queries)
        other = other or _names(self.support_inputs)[0]
        first = checks.same_tasks(name, first, other, tf.nest.flatten(beside)[0])
        return tf.nest.pack_sequence_as(queries, [first, *rest])

    def _decode(self, files: tf.Tensor) -> tf.Tensor:
        """Decodes PNG or JPEG files [B, N] to inputs [B, N, ...]."""
        assert self.images is not None, "no signature of other tasks takes files"
        shape = self.images.input_shape
        images = tf.map_fn(
            self.images.decode,
            tf.reshape(files, [-1]),
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
            parallel_iterations=IMAGES_AT_ONCE,
        )
        inputs = self.images.scale(tf.reshape(images, tf.concat([tf.shape(files), shape], axis=0)))
        return tf.ensure_shape(inputs, [None, None, *shape])

    def _present(self, targets: Any) -> tf.Tensor | None:
        """Returns which classes the support sets have, [B, ways]."""
        if not self.ways:
            return None
        return tf.reduce_any(tf.one_hot(tf.cast(targets, tf.int32), self.ways, True, False), axis=1)

    def _reply(self, outputs: Any, present: tf.Tensor | None) -> Reply:
        flat = [checks.answers(output) for output in tf.nest.flatten(outputs)]
        if present is None:
            return dict(zip(self._predictions, flat, strict=True))
        # Of a class that the support set lacks nothing was learned.
        logits = tf.where(present[:, tf.newaxis], flat[0], -float("inf"))
        probabilities = tf.nn.softmax(logits)
        classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {"probabilities": probabilities, "classes": classes}


def _ways(outputs: Any) -> int:
    if isinstance(outputs, tf.TensorSpec) and len(outputs.shape) == 2:
        return outputs.shape[1]
    raise InputError(
        f"classifies=True: the model's outputs are {outputs}; should be the logits of the classes, "
        "one tensor of shape [N, ways]"
    )


def _names(specs: Any) -> list[str]:
    return [spec.name for spec in tf.nest.flatten(specs)]


def _checked_inputs(values: Any, specs: Any) -> Any:
    """Checks each tensor of a nested structure, and that all are of as many tasks and examples."""
    checked: list[tf.Tensor] = []
    flat = tf.nest.flatten(specs)
    for value, spec in zip(tf.nest.flatten(values), flat, strict=True):
        value = checks.inputs(spec.name, value, spec.shape[2:])
        if checked:
            value = checks.as_many(spec.name, value, flat[0].name, checked[0])
        checked.append(value)
    return tf.nest.pack_sequence_as(values, checked)


def _checked_steps(inner_steps: Steps) -> Steps:
    return inner_steps if isinstance(inner_steps, int) else checks.inner_steps(inner_steps)
