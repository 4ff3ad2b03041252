"""The network of a run: the task family's default, or one that a function of the user builds."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from metasgd_tf import user_code
from metasgd_tf.output.shown_names import one_line
from trainers.errors import InputError
from trainers.families import Family
from trainers.stateless.logits import refuse_probabilities
from trainers.task_family import TaskFamily

UNKNOWN = 8
"""Tried in place of a size of inputs that is not known before."""


def build(model: str | None, family: Family, seed: int, task: str = "") -> keras.Model:
    """Builds the network for a family's tasks.

    Args:
      model: `package.module:function`, a function of (input_shape, output_size, seed) that returns
        a Keras 3 model from `[N, *input_shape]` to [N, output_size]; the family's default if None.
        The package is looked up on Python's import path, which includes the current directory.
      family: the tasks.
      seed: the seed of the initial weights.
      task: the value of `--task`; the network of the user's own tasks is checked like `model`.

    Raises:
      InputError: if there is no such function, or what it or the family returns does not fit the
        tasks.
    """
    if model is None:
        if ":" not in task:
            return family.model(seed)
        source = f"task={task}: its model"
        built = user_code.guarded(source, family.model, seed=seed)
        return _fitting(built, source, family, own_loss=True)
    built = user_code.call(
        "model",
        model,
        input_shape=family.input_shape,
        output_size=family.output_size,
        seed=seed,
    )
    return _fitting(built, f"model={model}:", family, own_loss=":" in task)


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Gives layers that are made in the context a dtype policy of Keras, by its name."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _fitting(built: object, source: str, family: Family, own_loss: bool) -> keras.Model:
    if not isinstance(built, keras.Model):
        raise InputError(f"{source} returned a {type(built).__name__}; should return a keras.Model")
    zeros = tf.nest.map_structure(
        lambda spec: tf.zeros([2, *(size or UNKNOWN for size in spec.shape)], spec.dtype),
        family.input_spec,
    )
    try:
        outputs = built(zeros)
    except Exception as error:
        raise InputError(
            f"{source} does not take inputs of shape {family.input_shape} "
            f"({type(error).__name__}: {one_line(str(error))}); build it for the input_shape that "
            "it is called with"
        ) from error
    if not own_loss and not tf.is_tensor(outputs):
        raise InputError(
            f"{source} gives {len(tf.nest.flatten(outputs))} outputs; should give one of shape "
            f"(2, {family.output_size}) for 2 inputs, a number for each class or target"
        )
    # Of several outputs the family's own loss knows what they should be.
    if tf.is_tensor(outputs) and tuple(outputs.shape) != (2, family.output_size):
        raise InputError(
            f"{source} gives outputs of shape {tuple(outputs.shape)} for 2 inputs; should "
            f"give (2, {family.output_size}), a number for each class or target"
        )
    if isinstance(family, TaskFamily) and family.classifies:
        refuse_probabilities(built, outputs if tf.is_tensor(outputs) else None)
    return built
