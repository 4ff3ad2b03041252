"""A learner that answers requests: each request is checked, answered and checked again.

A request is a batch of B tasks, each with N support and M query examples; all three are free, and
no task influences another.
"""

import tensorflow as tf

from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.serving import checks
from metasgd_tf.serving.answers import Steps, answers
from trainers.families import TaskFamily
from trainers.learners.learner import Learner

IMAGES_AT_ONCE = 2
"""Images that are decoded side by side; each may take some hundred megabytes."""

Reply = dict[str, tf.Tensor]


class ServedLearner:
    """A learner as functions of requests, to be called in a graph with tensors of any rank.

    Attributes:
      learner: the learner.
      family: the tasks that it was trained on.
      classifies: whether they are classification, else regression.
      takes_images: whether they are of images, which requests may hold as files.
      target_shape: of one target.
      target_type: of targets: int32 for classes, float32 for regression.
      state_size: numbers that `adapt` makes of a task.
    """

    def __init__(self, learner: Learner, family: TaskFamily):
        """Traces how the learner adapts and predicts."""
        self.learner = learner
        self.family = family
        self.classifies = family.classifies
        self.takes_images = isinstance(family, ImageClassification)
        self.target_shape = () if self.classifies else (family.output_size,)
        self.target_type = tf.int32 if self.classifies else tf.float32
        self._answers = answers(
            learner,
            tf.TensorSpec([None, *family.input_shape], tf.float32),
            tf.TensorSpec([None, *self.target_shape], self.target_type),
            family.output_size,
        )
        # A function of its own so that an export holds once what all signatures of images share.
        self._decoded = tf.function(
            self._decode, input_signature=[tf.TensorSpec([None, None], tf.string)], autograph=False
        )
        # Which classes the support set has goes with the fast weights.
        self._ways = family.output_size if self.classifies else 0
        self.state_size = self._answers.size + self._ways

    def answer(
        self,
        support_inputs: tf.Tensor,
        support_targets: tf.Tensor,
        query_inputs: tf.Tensor,
        inner_steps: Steps,
    ) -> Reply:
        """Adapts to each task's support set and answers its queries.

        Args:
          support_inputs: [B, N, ...], float32.
          support_targets: [B, N] (int32), or for regression [B, N, outputs] (float32).
          query_inputs: [B, M, ...], float32.
          inner_steps: an int, or a scalar tensor (int32), which is checked.

        Returns:
          `probabilities` [B, M, ways] and `classes` [B, M], or `predictions` [B, M, outputs].
        """
        inner_steps = _checked_steps(inner_steps)
        inputs, targets = self._support(support_inputs, support_targets)
        queries = self._queries(query_inputs, "support_inputs", inputs)
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
        targets = self._targets(support_targets, files)
        query_files = checks.examples("query_inputs", query_inputs, ())
        query_files = checks.same_tasks("query_inputs", query_files, "support_inputs", files)
        # What is cheap to refuse is refused before anything is decoded.
        with tf.control_dependencies([targets, query_files]):
            files = tf.identity(files)
        inputs, queries = (self._decoded(encoded) for encoded in (files, query_files))
        outputs = self._answers.answer(inputs, targets, queries, inner_steps)
        return self._reply(outputs, self._present(targets))

    def adapt(
        self, support_inputs: tf.Tensor, support_targets: tf.Tensor, inner_steps: Steps
    ) -> Reply:
        """Adapts to each task's support set, as `answer` does.

        Returns:
          `state` [B, state_size]: fast weights, what else belongs to them, and which classes the
          support set has.
        """
        inner_steps = _checked_steps(inner_steps)
        inputs, targets = self._support(support_inputs, support_targets)
        state = self._answers.adapt(inputs, targets, inner_steps)
        if self.classifies:
            state = tf.concat([state, tf.cast(self._present(targets), tf.float32)], axis=1)
        return {"state": checks.answers(state)}

    def predict(self, state: tf.Tensor, query_inputs: tf.Tensor) -> Reply:
        """Answers queries [B, M, ...] with what `adapt` made of their tasks."""
        state = checks.state(state, self.state_size, self._ways)
        queries = self._queries(query_inputs, "state", state)
        outputs = self._answers.predict(state[:, : self._answers.size], queries)
        return self._reply(outputs, state[:, self._answers.size :] > 0 if self.classifies else None)

    def _support(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = checks.inputs("support_inputs", inputs, self.family.input_shape)
        return inputs, self._targets(targets, inputs)

    def _targets(self, targets: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        name = "support_targets"
        if self.classifies:
            return checks.class_numbers(name, targets, inputs, self.family.output_size)
        return checks.numbers(name, targets, inputs, self.target_shape)

    def _queries(self, queries: tf.Tensor, other: str, beside: tf.Tensor) -> tf.Tensor:
        queries = checks.inputs("query_inputs", queries, self.family.input_shape)
        return checks.same_tasks("query_inputs", queries, other, beside)

    def _decode(self, files: tf.Tensor) -> tf.Tensor:
        """Decodes PNG or JPEG files [B, N] to inputs [B, N, ...]."""
        assert isinstance(self.family, ImageClassification)
        images = tf.map_fn(
            self.family.decode,
            tf.reshape(files, [-1]),
            fn_output_signature=tf.TensorSpec(self.family.input_shape, tf.uint8),
            parallel_iterations=IMAGES_AT_ONCE,
        )
        shape = tf.concat([tf.shape(files), self.family.input_shape], axis=0)
        inputs = self.family.scale(tf.reshape(images, shape))
        return tf.ensure_shape(inputs, [None, None, *self.family.input_shape])

    def _present(self, targets: tf.Tensor) -> tf.Tensor | None:
        """Returns which classes the support sets have, [B, ways]."""
        if not self.classifies:
            return None
        return tf.reduce_any(tf.one_hot(targets, self.family.output_size, True, False), axis=1)

    def _reply(self, outputs: tf.Tensor, present: tf.Tensor | None) -> Reply:
        outputs = checks.answers(outputs)
        if present is None:
            return {"predictions": outputs}
        # Of a class that the support set lacks nothing was learned.
        logits = tf.where(present[:, tf.newaxis], outputs, -float("inf"))
        probabilities = tf.nn.softmax(logits)
        classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {"probabilities": probabilities, "classes": classes}


def _checked_steps(inner_steps: Steps) -> Steps:
    return inner_steps if isinstance(inner_steps, int) else checks.inner_steps(inner_steps)
