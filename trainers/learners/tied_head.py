"""A last layer that starts alike for every class.

Which class of a task is called the first then does not matter, and a task may have more classes in
training than in the test:

    θ_c = θ̄ and α_c = ᾱ for every class c:  θ'_c = θ̄ − ᾱ ∘ ∇_c L(θ)

The gradient by what the last layer is given is Σ_c (p_c − y_c) θ̄ = 0 where all θ_c are θ̄, as both p
and y sum to 1. So the first inner step leaves all weights before the last layer as they are,
whatever their α is, and with one step a learner that adapts the last layer alone is the same one.

Here each class keeps weights of its own, of which the mean is θ̄; it is the same function, shapes
stay those of the model, and by an optimizer such as Adam, which scales each entry's step by its
own gradients, they move alike.

Source: Ye and Chao 2022, "How to train your MAML to excel in few-shot classification".
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.anil import last_layer


class TiedHead:
    """The weights of a last layer that start alike for every class.

    Attributes:
      numbers: which they are, in the order of `model.trainable_variables`.
      has_other_train_ways: whether a task of training has other ways than one of evaluation.
    """

    def __init__(self, model: keras.Model, ways: int | None, train_ways: int | None):
        """Ties the last layer of a model.

        Args:
          model: a built model.
          ways: classes of a task, if not as many as the model has outputs.
          train_ways: classes of a task in training, if not `ways`.

        Raises:
          InputError: if the last layer cannot be tied.
        """
        classes = classes_of(model)
        ways = ways or classes
        self.numbers = last_layer(model)
        self._ways = {True: train_ways or ways, False: ways}

    @property
    def has_other_train_ways(self) -> bool:
        """See the class."""
        return self._ways[True] != self._ways[False]

    @property
    def train_classes(self) -> int:
        """Classes of a task in training."""
        return self._ways[True]

    def alike(
        self, weights: Sequence[tf.Tensor], numbers: Sequence[int], training: bool
    ) -> list[tf.Tensor]:
        """Returns `weights`, or their rates, alike for every class where they are tied.

        Args:
          weights: one tensor for each of `numbers`.
          numbers: which weights they are, or belong to.
          training: whether there are the classes of meta-training.
        """
        return [
            alike(tf.convert_to_tensor(weight), self._ways[training])
            if number in self.numbers
            else weight
            for number, weight in zip(numbers, weights, strict=True)
        ]

    @contextlib.contextmanager
    def with_ways_of_training(self) -> Iterator[None]:
        """Lets tasks have as many classes everywhere as in training."""
        ways = self._ways
        self._ways = dict.fromkeys(ways, ways[True])
        try:
            yield
        finally:
            self._ways = ways


def classes_of(model: keras.Model) -> int:
    """Returns the classes of a classifier, the last dimension of all weights of its last layer.

    Raises:
      InputError: if one of these has another, or none of them has rows too: a classifier's kernel,
        not a bias or slopes after it.
    """
    weights = [model.trainable_variables[number] for number in last_layer(model)]
    kernels = [weight for weight in weights if len(weight.shape) > 1]
    if not kernels:
        raise InputError(
            f"tied_head: {weights[0].path} of model={model.name!r} has shape {weights[0].shape}, "
            "and its layer is the last one with weights; the last one should be the classifier, "
            "with a kernel [..., classes]"
        )
    # A model with a `call` of its own does not know the shape of its outputs.
    classes = getattr(model, "output_shape", kernels[-1].shape)[-1]
    for weight in weights:
        if weight.shape[-1] != classes:
            raise InputError(
                f"tied_head: {weight.path} of model={model.name!r} has shape {weight.shape}; the "
                f"weights of the last layer should end in the {classes} classes"
            )
    return int(classes)


def tied_if(
    tied_head: bool, model: keras.Model, ways: int | None, train_ways: int | None
) -> TiedHead | None:
    """Returns the `TiedHead` of a model, or None where the last layer is not to be tied.

    Raises:
      InputError: if the last layer cannot be tied, or it is not and `ways` or `train_ways` is
        given.
    """
    if tied_head:
        return TiedHead(model, ways, train_ways)
    for name, value in (("ways", ways), ("train_ways", train_ways)):
        if value is not None:
            raise InputError(
                f"{name}={value}: the last layer has weights for each class; tie them by "
                f"tied_head, or leave {name} out"
            )
    return None


def alike(weight: tf.Tensor, ways: int) -> tf.Tensor:
    """Returns the mean over the classes for each of `ways` classes, [..., ways].

    Args:
      weight: [..., classes], or a scalar, which stays as it is.
      ways: how many.
    """
    if not weight.shape.rank:
        return weight
    mean = tf.reduce_mean(weight, axis=-1, keepdims=True)
    return tf.repeat(mean, ways, axis=-1)
