"""The signatures of an export: their inputs, shapes and types.

`serving_default` adapts and answers within one request, `classify_images` does so for encoded
images, `adapt` and `predict` do it in two requests, for clients that ask of one task repeatedly.

They make the run's own number of inner steps. Of a learner whose steps are all alike, a
`MetaLearner`, beside each one that adapts stands another, its name followed by `_steps`, which
takes the number as a further input, `inner_steps`, with that default. There are two because not
every loader honours a signature's default, and those that do not would demand the input of every
client.

A policy has `serving_default` alone, of trajectories instead of a support set.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from metasgd_tf.serving.served import Reply, ServedLearner
from trainers.learners.meta_sgd import MetaLearner

STEPS = "_steps"
PARTS = ("support", "query")
INNER_STEPS = tf.TensorSpec([], tf.int32, "inner_steps")


class Signature(NamedTuple):
    """One signature.

    Attributes:
      function: the `tf.function`. Its inputs are of unknown rank, since loaders in Python would
        else refuse a wrong one in their own ways, and the C++ runtime not at all.
      inputs: the specs that the graph lets pass, by name; None for a size that is free.
      smallest: by name, shapes of inputs whose free sizes may not all be 1.
    """

    function: Callable[..., Reply]
    inputs: dict[str, tf.TensorSpec]
    smallest: dict[str, list[int]]


def signatures(served: ServedLearner) -> dict[str, Signature]:
    """Returns the signatures for a learner by their names.

    Args:
      served: the learner; its number of inner steps is the default.
    """
    steps = served.learner.inner_steps
    targets = [served.support_targets]
    support = [served.support_inputs, *targets]
    queries = [served.query_inputs]
    state = tf.TensorSpec([None, served.state_size], tf.float32, "state")
    files = [tf.TensorSpec([None, None], tf.string, f"{name}_inputs") for name in PARTS]

    made = _answering("serving_default", served.answer, steps, [*support, *queries])
    if served.images is not None:
        given = [files[0], *targets, files[1]]
        made |= _answering("classify_images", served.answer_images, steps, given)
    made |= _adapting("adapt", served.adapt, steps, support)
    if not isinstance(served.learner, MetaLearner):
        made = {name: one for name, one in made.items() if not name.endswith(STEPS)}
    predict = _signature(served.predict, [state, *queries])
    return made | {"predict": predict._replace(smallest={"state": [1, served.smallest_state]})}


def policy_signatures(
    act: Callable[..., Reply], state_shape: Sequence[int], action_size: int
) -> dict[str, Signature]:
    """Returns the one signature for a policy by its name.

    Args:
      act: what `metasgd_tf.serving.policies.acting` gave.
      state_shape: of one state.
      action_size: numbers of an action.
    """
    step = (None, None, None)
    shapes = {
        "observations": (*step, *state_shape),
        "actions": (*step, action_size),
        "rewards": step,
        "mask": step,
        "query_observations": (None, None, *state_shape),
    }
    given = [tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()]
    return {"serving_default": _signature(act, given)}


def _answering(
    name: str, answer: Callable[..., Reply], steps: int, given: Sequence[Any]
) -> dict[str, Signature]:
    # The exporter takes a default only where it is a tensor in the function's own definition.
    default = tf.constant(steps)

    def as_trained(support_inputs, support_targets, query_inputs):
        return answer(support_inputs, support_targets, query_inputs, steps)

    def as_asked(support_inputs, support_targets, query_inputs, inner_steps=default):
        return answer(support_inputs, support_targets, query_inputs, inner_steps)

    return {
        name: _signature(as_trained, given),
        name + STEPS: _signature(as_asked, [*given, INNER_STEPS]),
    }


def _adapting(
    name: str, adapt: Callable[..., Reply], steps: int, given: Sequence[Any]
) -> dict[str, Signature]:
    default = tf.constant(steps)

    def as_trained(support_inputs, support_targets):
        return adapt(support_inputs, support_targets, steps)

    def as_asked(support_inputs, support_targets, inner_steps=default):
        return adapt(support_inputs, support_targets, inner_steps)

    return {
        name: _signature(as_trained, given),
        name + STEPS: _signature(as_asked, [*given, INNER_STEPS]),
    }


def _signature(function: Callable[..., Reply], given: Sequence[Any]) -> Signature:
    """Makes a signature of a function of nested structures of tensors.

    Args:
      function: to be called in a graph.
      given: for each of its arguments, the named specs that the graph lets pass.
    """
    ranks_open = tf.nest.map_structure(
        lambda spec: tf.TensorSpec(None, spec.dtype, spec.name), list(given)
    )
    made = tf.function(function, input_signature=ranks_open, autograph=False)
    return Signature(made, {spec.name: spec for spec in tf.nest.flatten(list(given))}, {})
