"""ANIL, "almost no inner loop": MAML whose inner steps change the last layer only.

    θ = (body, head):  head' = head − α ∇_head L(body, head)

The body is learned by the outer loop alone, in training and in the test.

Source: Raghu et al. 2020, section 4. It is a `MetaLearner` whose `adapted` weights are these.
"""

from collections.abc import Sequence

import keras


def last_layer(model: keras.Model) -> list[int]:
    """Returns the numbers of the last layer's weights in `model.trainable_variables`.

    Args:
      model: a built model; its last layer is the one with trainable weights that was added last.
    """
    *_, last = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer.trainable_variables and not list(layer._flatten_layers(include_self=False))
    ]
    weights = {id(variable) for variable in last.trainable_variables}
    every = model.trainable_variables
    return [number for number, variable in enumerate(every) if id(variable) in weights]


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
