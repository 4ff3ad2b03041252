"""The signatures of an export: what a client may ask, and in which shapes.

`serving_default` adapts and answers within one request, `classify_images` does so for encoded
images, `adapt` and `predict` do it in two requests, for clients that ask of one task repeatedly.

They make the run's own number of inner steps. Of a learner that learns by gradients, beside each
one that adapts stands another, its name followed by `_steps`, which takes the number as a further
input, `inner_steps`, with that default. There are two because not every loader honours a
signature's default, and those that do not would demand the input of every client.

A policy has `serving_default` alone, of trajectories instead of a support set.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from metasgd_tf.serving.served import Reply, ServedLearner
from trainers.learners.meta_sgd import MetaLearner

STEPS = "_steps"
Inputs: TypeAlias = dict[str, tuple[Sequence[int | None], tf.DType]]


class Signature(NamedTuple):
    """One signature.

    Attributes:
      function: the `tf.function`. Its inputs are of unknown rank, since loaders in Python would
        else refuse a wrong one in their own ways, and the C++ runtime not at all.
      inputs: shape and type that the graph lets pass, by name; None for a size that is free.
    """

    function: Callable[..., Reply]
    inputs: Inputs


def signatures(served: ServedLearner) -> dict[str, Signature]:
    """Returns the signatures for a learner by their names.

    Args:
      served: the learner; its number of inner steps is the default.
    """
    shape = served.family.input_shape
    steps = served.learner.inner_steps
    targets: Inputs = {"support_targets": ((None, None, *served.target_shape), served.target_type)}
    support: Inputs = {"support_inputs": ((None, None, *shape), tf.float32)} | targets
    queries: Inputs = {"query_inputs": ((None, None, *shape), tf.float32)}
    files: Inputs = {name: ((None, None), tf.string) for name in ("support_inputs", "query_inputs")}
    state: Inputs = {"state": ((None, served.state_size), tf.float32)}

    made = _answering("serving_default", served.answer, steps, support | queries)
    if served.takes_images:
        made |= _answering(
            "classify_images", served.answer_images, steps, support | queries | files
        )
    made |= _adapting("adapt", served.adapt, steps, support)
    if not isinstance(served.learner, MetaLearner):
        made = {name: one for name, one in made.items() if not name.endswith(STEPS)}
    return made | {"predict": _signature(served.predict, state | queries)}


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
    inputs: Inputs = {
        "observations": ((*step, *state_shape), tf.float32),
        "actions": ((*step, action_size), tf.float32),
        "rewards": (step, tf.float32),
        "mask": (step, tf.float32),
        "query_observations": ((None, None, *state_shape), tf.float32),
    }
    return {"serving_default": _signature(act, inputs)}


def _answering(
    name: str, answer: Callable[..., Reply], steps: int, inputs: Inputs
) -> dict[str, Signature]:
    # The exporter takes a default only where it is a tensor in the function's own definition.
    default = tf.constant(steps)

    def as_trained(support_inputs, support_targets, query_inputs):
        return answer(support_inputs, support_targets, query_inputs, steps)

    def as_asked(support_inputs, support_targets, query_inputs, inner_steps=default):
        return answer(support_inputs, support_targets, query_inputs, inner_steps)

    return {
        name: _signature(as_trained, inputs),
        name + STEPS: _signature(as_asked, inputs | {"inner_steps": ((), tf.int32)}),
    }


def _adapting(
    name: str, adapt: Callable[..., Reply], steps: int, inputs: Inputs
) -> dict[str, Signature]:
    default = tf.constant(steps)

    def as_trained(support_inputs, support_targets):
        return adapt(support_inputs, support_targets, steps)

    def as_asked(support_inputs, support_targets, inner_steps=default):
        return adapt(support_inputs, support_targets, inner_steps)

    return {
        name: _signature(as_trained, inputs),
        name + STEPS: _signature(as_asked, inputs | {"inner_steps": ((), tf.int32)}),
    }


def _signature(function: Callable[..., Reply], inputs: Inputs) -> Signature:
    specs = [tf.TensorSpec(None, kind, name) for name, (_, kind) in inputs.items()]
    return Signature(tf.function(function, input_signature=specs, autograph=False), inputs)
