"""Checks of requests, part of the graph, so that no loader or client can skip them.

Each function returns the tensor that it was given, which cannot be computed with before the check
is passed. A request that fails one is answered by InvalidArgument and a sentence.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from trainers.policies.trajectories import Trajectories

MAX_INNER_STEPS = 100
"""More than any published protocol makes; a request for billions would keep a server busy."""


class _Counted(NamedTuple):
    """A tensor whose first sizes others must have: its name, and what those axes count."""

    name: str
    axes: int
    counts: str


_STEPS = _Counted("observations", 3, "tasks, trajectories and steps")


def inputs(name: str, value: tf.Tensor, shape: Sequence[int | None]) -> tf.Tensor:
    """Checks the inputs of some tasks: at least one per task, and all of them finite.

    Args:
      name: what the request calls them.
      value: a tensor of any rank.
      shape: of one input; None for a size that is free.

    Returns:
      `[B, N, *shape]`.
    """
    return _finite(name, examples(name, value, shape))


def examples(name: str, value: tf.Tensor, shape: Sequence[int | None]) -> tf.Tensor:
    """Checks that a tensor holds at least one task with at least one example of this shape."""
    sizes = ["any" if size is None else str(size) for size in shape]
    wanted = ", ".join(["B", "N" if name.startswith("support") else "M", *sizes])
    value = _of_shape(value, [None, None, *shape], f"{name}: should be of shape [{wanted}], not")
    return _checked(
        value, tf.size(value) > 0, f"{name}: holds nothing; give at least one task and example"
    )


def class_numbers(
    name: str, value: tf.Tensor, other: str, beside: tf.Tensor, ways: int
) -> tf.Tensor:
    """Checks the classes of support examples.

    Args:
      name: what the request calls them.
      value: an integer tensor of any rank.
      other: what the request calls the examples.
      beside: these, [B, N, ...].
      ways: the number of classes.

    Returns:
      [B, N], all of it in [0, ways).
    """
    value = _of_shape(value, [None, None], f"{name}: should be of shape [B, N], not")
    value = as_many(name, value, other, beside)
    return _checked(
        value,
        tf.reduce_all((value >= 0) & (value < ways)),
        f"{name}: a class should be a number from 0 to {ways - 1}, not",
        _first(value, (value < 0) | (value >= ways)),
    )


def as_many(name: str, value: tf.Tensor, other: str, beside: tf.Tensor) -> tf.Tensor:
    """Checks that two tensors [B, N, ...] are of equally many tasks and examples.

    Args:
      name: what the request calls the first.
      value: a tensor that is checked already but for this.
      other: what the request calls the second.
      beside: that one.
    """
    return _as_many(name, value, beside, _Counted(other, 2, "tasks and examples"))


def trajectories(given: Trajectories, state_shape: Sequence[int], action_size: int) -> Trajectories:
    """Checks trajectories of some tasks: at least one per task, with at least one step.

    Args:
      given: float tensors of any rank.
      state_shape: of one state.
      action_size: A, numbers of an action.

    Returns:
      Observations `[B, N, H, *state_shape]`, actions [B, N, H, A], rewards and mask [B, N, H].
    """
    shapes = Trajectories(tuple(state_shape), (action_size,), (), ())
    checked: list[tf.Tensor] = []
    for name, value, shape in zip(Trajectories._fields, given, shapes, strict=True):
        wanted = ", ".join(["B", "N", "H", *map(str, shape)])
        value = _of_shape(
            value, [None, None, None, *shape], f"{name}: should be of shape [{wanted}], not"
        )
        if checked:
            value = _as_many(name, value, checked[0], _STEPS)
        value = _checked(
            value,
            tf.size(value) > 0,
            f"{name}: holds nothing; give at least one task, trajectory and step",
        )
        checked.append(_finite(name, value))
    return Trajectories(*checked)._replace(mask=_mask(checked[-1]))


def _mask(value: tf.Tensor) -> tf.Tensor:
    wrong = (value != 0) & (value != 1)
    value = _checked(
        value, ~tf.reduce_any(wrong), "mask: should be 0 or 1, not", _first(value, wrong)
    )
    return _checked(
        value,
        tf.reduce_all(value[..., 0] == 1) & tf.reduce_all(value[..., 1:] <= value[..., :-1]),
        "mask: should be 1 from the first step of an episode to its end and 0 after it",
    )


def same_tasks(name: str, value: tf.Tensor, other: str, beside: tf.Tensor) -> tf.Tensor:
    """Checks that two tensors [B, ...] are of equally many tasks."""
    return _checked(
        value,
        tf.equal(tf.shape(value)[0], tf.shape(beside)[0]),
        f"{name}: should be of as many tasks as {other}, whose shapes are",
        tf.shape(value),
        tf.shape(beside),
    )


def inner_steps(value: tf.Tensor) -> tf.Tensor:
    """Checks the number of inner steps of a request, a scalar."""
    value = _of_shape(value, [], "inner_steps: should be one number, not of shape")
    return _checked(
        value,
        (value >= 0) & (value <= MAX_INNER_STEPS),
        f"inner_steps: should be from 0 to {MAX_INNER_STEPS}, not",
        value,
    )


def state(value: tf.Tensor, size: int, per_example: int, ways: int) -> tf.Tensor:
    """Checks what the signature `adapt` gave, [B, size + N · per_example].

    Args:
      value: a float tensor of any rank.
      size: numbers of a task.
      per_example: further numbers for each of its N support examples.
      ways: how many of them, at the end, say whether the task has a class; 0 for regression.
    """
    wanted = f"{size} + {per_example} N" if per_example else f"{size}"
    message = f"state: should be what adapt gave, of shape [B, {wanted}], not"
    value = _of_shape(value, [None, None if per_example else size], message)
    if per_example:
        more = tf.shape(value)[1] - size
        fits = (more > 0) & tf.equal(more % per_example, 0)
        value = _checked(value, fits, message, tf.shape(value))
    value = _checked(value, tf.size(value) > 0, "state: holds no task")
    value = _checked(
        value,
        tf.reduce_all(tf.math.is_finite(value)),
        "state: holds NaN or infinity; it should be what adapt gave",
    )
    if not ways:
        return value
    some = tf.reduce_all(tf.reduce_any(value[:, -ways:] > 0, axis=1))
    return _checked(
        value, some, "state: is of a task without classes; it should be what adapt gave"
    )


def answers(value: tf.Tensor, instead: str = "smaller inputs or fewer inner_steps") -> tf.Tensor:
    """Checks that an answer is finite.

    Args:
      value: the answer.
      instead: what the message advises the client to send instead.
    """
    if not value.dtype.is_floating:
        return value
    return _checked(
        value,
        tf.reduce_all(tf.math.is_finite(value)),
        f"the adaptation led to numbers that are not finite: give {instead}",
    )


def _finite(name: str, value: tf.Tensor) -> tf.Tensor:
    if not value.dtype.is_floating:
        return value
    return _checked(
        value,
        tf.reduce_all(tf.math.is_finite(value)),
        f"{name}: holds NaN or infinity; every number should be finite",
    )


def _of_shape(value: tf.Tensor, shape: Sequence[int | None], message: str) -> tf.Tensor:
    given = tf.shape(value)
    rank = len(shape)
    # Something at each place, whatever the rank.
    padded = tf.concat([given, tf.fill([rank], -1)], axis=0)[:rank]
    wanted = tf.convert_to_tensor(
        [padded[axis] if size is None else size for axis, size in enumerate(shape)], tf.int32
    )
    fits = tf.equal(tf.size(given), rank) & tf.reduce_all(tf.equal(padded, wanted))
    with tf.control_dependencies([_assertion(fits, message, given)]):
        # Not ensure_shape: from a shape that operations further on demand, TensorFlow's optimizer
        # infers that this one has it too, and leaves out the check. Through reshape it cannot.
        return tf.reshape(value, wanted)


def _as_many(name: str, value: tf.Tensor, beside: tf.Tensor, counted: _Counted) -> tf.Tensor:
    counts, others = (tf.shape(one)[: counted.axes] for one in (value, beside))
    return _checked(
        value,
        tf.reduce_all(tf.equal(counts, others)),
        f"{name}: should be one for each of {counted.name}, whose numbers of {counted.counts} "
        "differ from these",
        counts,
        others,
    )


def _first(value: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    return tf.boolean_mask(value, chosen)[:1]


def _checked(value: tf.Tensor, holds: tf.Tensor, message: str, *data: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([_assertion(holds, message, *data)]):
        return tf.identity(value)


def _assertion(holds: tf.Tensor, message: str, *data: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(holds, [message, *data], summarize=8)
