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

import keras
import tensorflow as tf

from trainers.errors import InputError
from trainers.learners.anil import last_layer


def refuse_unlike_classes(model: keras.Model) -> None:
    """Checks that the weights of the last layer have the classes as their last dimension.

    Raises:
      InputError: if they do not.
    """
    classes = model.output_shape[-1]
    for number in last_layer(model):
        weight = model.trainable_variables[number]
        if weight.shape[-1] != classes:
            raise InputError(
                f"tied_head: {weight.path} of model={model.name!r} has shape {weight.shape}; the "
                f"weights of the last layer should end in the {classes} classes"
            )


def ways_of_head(
    model: keras.Model, tied_head: bool, ways: int | None, train_ways: int | None
) -> dict[bool, int]:
    """Returns how many classes a task has in training (`True`) and elsewhere; none if not tied.

    Args:
      model: a built model.
      tied_head: whether its last layer starts alike for every class.
      ways: classes of a task, if not as many as the model has outputs.
      train_ways: classes of a task in training, if not `ways`.

    Raises:
      InputError: if the last layer cannot be tied, or it is not and one of the two is given.
    """
    if tied_head:
        refuse_unlike_classes(model)
        ways = ways or model.output_shape[-1]
        return {True: train_ways or ways, False: ways}
    for name, value in (("ways", ways), ("train_ways", train_ways)):
        if value is not None:
            raise InputError(
                f"{name}={value}: the last layer has weights for each class; tie them by "
                f"tied_head, or leave {name} out"
            )
    return {}


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
