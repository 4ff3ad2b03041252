"""N-way K-shot classification of images (Li et al. 2017, Tables 2 and 3)."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from matplotlib import figure

from metasgd_tf.drawing import episodes
from metasgd_tf.images.files import encoded_images
from metasgd_tf.images.images_by_class import ImagesByClass, as_tensor, refuse_too_few
from metasgd_tf.images.square_images import square
from metasgd_tf.output.listing import counted
from trainers.episodes import Episode, Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform
from trainers.task_family import TaskFamily

Distort = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From a seed [2] and images [classes, images, height, width, channels] to as many of them."""

EVALUATION_TASKS = 600
EVALUATION_QUERIES = 15
SCORED_BEFORE = 100
"""How many test tasks are also scored before adaptation, where any classifier is at chance."""

DIGESTED_AT_ONCE = 1024
"""Images whose digest is taken at once; as one array all of them would take their memory twice."""


class ImageClassification(TaskFamily):
    """Tasks of `ways` classes with `shots` support and `queries` query images of each.

    Targets number the classes of a task in the random order in which they were drawn.

    Attributes:
      ink_is_one: whether images are drawings of ink 1 on paper 0.
      division: the classes of each split, of those that hold no images too, where chance or a file
        divided them.
      all_classes: all that there are then, those too that a file leaves out.
    """

    ink_is_one = False
    division: Mapping[str, Sequence[str]] | None = None
    all_classes: Sequence[str] = ()

    metric = "accuracy"
    metric_mode = "max"
    classifies = True

    def __init__(
        self,
        images: Mapping[str, ImagesByClass | np.ndarray],
        ways: int,
        shots: int,
        queries: int,
        input_shape: tuple[int, ...] | None = None,
        train_ways: int | None = None,
        distort: Distort | None = None,
    ):
        """Takes the images and the sizes of episodes.

        Args:
          images: the images of each split, all of one shape, which must not be changed afterwards;
            either by class, or, if all classes have as many images, as an array [classes, images
            per class, height, width, channels] (uint8).
          ways: classes per task.
          shots: support images per class.
          queries: query images per class in training.
          input_shape: the shape of one image; needed only if `images` is empty.
          train_ways: classes per task in training; `ways` if not given.
          distort: varies the images of a task in training; they stay as they are if not given.

        Raises:
          InputError: if a split has too few classes, or its classes too few images.
        """
        self.ways, self.shots, self.queries = ways, shots, queries
        self.train_ways = train_ways or ways
        self._distort = distort
        by_class = {
            split: ImagesByClass.of_even_classes(given) if isinstance(given, np.ndarray) else given
            for split, given in images.items()
        }
        for split, held in by_class.items():
            counts = dict(zip(held.names, held.counts, strict=True))
            refuse_too_few(split, counts, self.ways_of(split), shots, queries)
            if split == "train" and self.train_ways > len(counts):
                raise InputError(
                    f"train_ways={self.train_ways}: the train split has "
                    f"{counted(len(counts), 'class', 'classes')}; ask for no more"
                )
        # Only tensors are kept: arrays beside them could take the memory twice.
        self._images = {
            split: held._replace(images=as_tensor(held.images)) for split, held in by_class.items()
        }
        self.metrics = {"accuracy": keras.metrics.sparse_categorical_accuracy}
        self.output_size = ways
        self.input_shape = input_shape or tuple(next(iter(by_class.values())).images.shape[1:])

    def with_ways(self, ways: int) -> Self:
        """Returns a family of tasks with another number of classes, of the same images.

        Raises:
          InputError: if a split has too few classes.
        """
        made = copy.copy(self)
        made.ways = made.output_size = ways
        for split, held in made._images.items():
            counts = dict(zip(held.names, held.counts, strict=True))
            refuse_too_few(split, counts, made.ways_of(split), made.shots, made.queries)
        return made

    def data_digest(self) -> str:
        """Returns a digest of the classes of each split and of their images, as hexadecimals."""
        digest = hashlib.blake2b(digest_size=8)
        for split, held in sorted(self._images.items()):
            digest.update(repr((split, held.names, held.counts, held.images.shape)).encode())
            for start in range(0, held.images.shape[0], DIGESTED_AT_ONCE):
                some = np.asarray(held.images[start : start + DIGESTED_AT_ONCE])
                digest.update(some.tobytes())
        return digest.hexdigest()

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy of each example, [N], for logits [N, ways]."""
        return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

    def episode(self, seed: tf.Tensor, split: str) -> Episode:
        """Draws a task; inputs [ways · shots, height, width, channels] in [0, 1], targets int32.

        In training it has `train_ways` classes, and its images may be distorted.
        """
        if split != "train":
            return self._draw(seed, split, self.ways_of(split), self.shots, self.queries)
        return self._draw(seed, split, self.train_ways, self.shots, self.queries, self._distort)

    def ways_of(self, split: str) -> int:
        """Returns the number of classes per task in a split: `ways`, unless overridden."""
        del split
        return self.ways

    def protocols(self, num_tasks: int | None) -> list[Protocol]:
        """Returns the one protocol: `num_tasks` (600) tasks with the shots of training."""
        tasks = num_tasks or EVALUATION_TASKS
        return [Protocol(self.shots, tasks, repeats=1, before=SCORED_BEFORE)]

    def evaluation_episode(
        self, seed: tf.Tensor, split: str, protocol: Protocol, task: tf.Tensor, repeat: tf.Tensor
    ) -> Episode:
        """Draws a task of `evaluation_queries`, or as many as the split's smallest class leaves."""
        del repeat
        most = self.smallest_class(split) - protocol.shots
        queries = min(self.evaluation_queries(protocol.shots), most)
        ways = self.ways_of(split)
        return self._draw(fold_in(seed, task), split, ways, protocol.shots, queries)

    def evaluation_queries(self, shots: int) -> int:
        """Returns how many queries a class has in an evaluation: 15, unless overridden."""
        del shots
        return EVALUATION_QUERIES

    def sequence(self, seed: tf.Tensor, split: str, images: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws a task's images of every class in a random order, as Santoro et al. 2016 show them.

        Args:
          seed: [2].
          split: one of `trainers.seeds.SPLITS`.
          images: of each class.

        Returns:
          Inputs [ways · images, height, width, channels] and targets [ways · images] (int32).
        """
        episode = self._draw(seed, split, self.ways_of(split), images, 0)
        order = tf.argsort(uniform(fold_in(seed, 5), [self.ways_of(split) * images]))
        return tf.gather(episode.support_inputs, order), tf.gather(episode.support_targets, order)

    def smallest_class(self, split: str) -> int:
        """Returns how many images the smallest class of a split has."""
        return min(self._images[split].counts)

    def evaluation_classes(self, seed: tf.Tensor, split: str, task: tf.Tensor) -> tf.Tensor:
        """Returns the classes that the targets of `evaluation_episode` stand for, [ways] (int32).

        They are indices into the split's `class_names`.
        """
        return self._classes(fold_in(seed, task), split, self.ways_of(split))

    def class_names(self, split: str) -> tuple[str, ...]:
        """Returns the names of a split's classes."""
        return self._images[split].names

    def draw(self, episode: Episode, before: np.ndarray, after: np.ndarray) -> figure.Figure:
        """Draws the support set and some queries, with the classes that are predicted."""
        return episodes.classification(episode, before, after, ink_is_one=self.ink_is_one)

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes an image in a TensorFlow graph to the same pixels as in training.

        It equals `image_files.decode`; a family that prepares its images otherwise overrides it.

        Args:
          encoded: a PNG or JPEG file, scalar string.

        Returns:
          Shape `input_shape`, uint8.
        """
        size, _, channels = self.input_shape
        return square(encoded_images.decode(encoded, enough=2 * size), size, channels)

    def scale(self, images: tf.Tensor) -> tf.Tensor:
        """Returns inputs in [0, 1] (float32) for images of any shape (uint8)."""
        return tf.cast(images, tf.float32) * (1.0 / 255.0)

    def _draw(
        self,
        seed: tf.Tensor,
        split: str,
        ways: int,
        shots: int,
        queries: int,
        distort: Distort | None = None,
    ) -> Episode:
        # TensorFlow gathers uint8 on CPUs only: from a GPU, each task would copy all images back.
        with tf.device("CPU:0"):
            shown = self._shown(seed, split, ways, shots + queries)
        images = self.scale(shown)
        if distort is not None:
            images = distort(fold_in(seed, 4), images)
        targets = tf.range(ways)
        return Episode(
            tf.reshape(images[:, :shots], [-1, *self.input_shape]),
            tf.repeat(targets, shots),
            tf.reshape(images[:, shots:], [-1, *self.input_shape]),
            tf.repeat(targets, queries),
        )

    def _shown(self, seed: tf.Tensor, split: str, ways: int, images: int) -> tf.Tensor:
        """Returns different images of different classes, [ways, images, ...] (uint8)."""
        held = self._images[split]
        counts, most = np.array(held.counts, np.int32), max(held.counts)
        starts = np.cumsum(counts, dtype=np.int32) - counts
        classes = self._classes(seed, split, ways)
        numbers = uniform(fold_in(seed, 1), [ways, most])
        there = tf.range(most) < tf.gather(counts, classes)[:, tf.newaxis]
        chosen = largest(tf.where(there, numbers, -1.0), images)
        return tf.gather(held.images, tf.gather(starts, classes)[:, tf.newaxis] + chosen)

    def _classes(self, seed: tf.Tensor, split: str, ways: int) -> tf.Tensor:
        """Returns which classes a task has, in the order of its targets, [ways] (int32)."""
        count = len(self._images[split].counts)
        return largest(uniform(fold_in(seed, 0), [count]), ways)


def largest(numbers: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the indices of the largest numbers, [..., count] (int32).

    For random numbers this is a draw without replacement.
    """
    return tf.math.top_k(numbers, count).indices
