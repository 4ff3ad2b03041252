"""ANIL, "almost no inner loop": MAML whose inner steps change the last layer only.

    θ = (body, head):  head' = head − α ∇_head L(body, head)

The body is learned by the outer loop alone, in training and in the test.

Source: Raghu et al. 2020, section 4. It is a `MetaLearner` whose `adapted` weights are these.
"""

from collections.abc import Iterator, Sequence

import keras

from trainers.errors import InputError


def last_layer(model: keras.Model) -> list[int]:
    """Returns the numbers of the last layer's weights in `model.trainable_variables`.

    Args:
      model: a built model; its last layer is the one with trainable weights that was added last,
        in however many blocks it lies. A layer that has weights of its own is one with the layers
        within it.

    Raises:
      InputError: if the model has no such layer.
    """
    layers = [layer for inner in model._layers for layer in _in_order(inner)]
    if not layers:
        raise InputError(
            f"model={model.name!r}: has no layer with trainable weights, so that none is the last; "
            "should have one"
        )
    weights = {id(variable) for variable in layers[-1].trainable_variables}
    every = model.trainable_variables
    return [number for number, variable in enumerate(every) if id(variable) in weights]


def _in_order(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers with trainable weights, in the order in which they were added."""
    if not layer.trainable_variables:
        return
    if layer._trainable_variables:
        yield layer
        return
    for inner in layer._layers:
        yield from _in_order(inner)


def of_the_body(
    model: keras.Model, adapted: Sequence[int], value: float | None
) -> dict[int, float]:
    """Returns a value for each adapted weight that is not the last layer's, by its place.

    Args:
      model: a built model.
      adapted: numbers of weights in `model.trainable_variables`.
      value: the value; None for no weight.
    """
    if value is None:
        return {}
    head = last_layer(model)
    return {place: value for place, number in enumerate(adapted) if number not in head}


def numbers_of(model: keras.Model, adapted: Sequence[int]) -> list[int]:
    """Returns the numbers of weights as `last_layer` gives them, from 0 on.

    Args:
      model: a built model.
      adapted: numbers of weights in `model.trainable_variables`, below 0 from its end.

    Raises:
      InputError: if there is none, or one is no weight's.
    """
    count = len(model.trainable_variables)
    for number in adapted:
        if not -count <= number < count:
            raise InputError(
                f"adapted: has {number}, and model={model.name!r} has {count} weights; should be "
                f"numbers from 0 to {count - 1}"
            )
    if not adapted:
        raise InputError(
            f"adapted: is empty, so that inner steps of model={model.name!r} would change nothing; "
            "should name at least one of its weights"
        )
    return [number % count for number in adapted]
