"""Operations that `tf.vectorized_map` cannot batch by itself, made known to it.

* Random numbers: TensorFlow batches the first version of its stateless random operations and not
  the second, which is what its functions and Keras's dropout use. Here 32-bit integers, from which
  episodes are drawn, are computed for all tasks at once by `philox`; for other numbers each task
  has an operation of its own. So a task draws the numbers that it draws without batching.
* Bitcasts, which Keras's `argmax` makes and with it its accuracies.

`RegisterPFor` is how TensorFlow's own operations are made known to `tf.vectorized_map`; there is no
public name for it.
"""

import math
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

from trainers.batching import philox

_PHILOX = tf.random.Algorithm.PHILOX.value

RANDOM = (
    "StatelessRandomGetKeyCounter",
    "StatelessRandomUniformV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomNormalV2",
    "StatelessTruncatedNormalV2",
)


def _one_by_one(given: Any) -> list[Any]:
    """Makes an operation for each task, and stacks what they return."""
    operation = given.op
    # Some inputs, such as the shape, are the same for all tasks.
    by_task = [tf.unstack(value.t) if value.is_stacked else None for value in given.inputs]
    count = next(len(values) for values in by_task if values is not None)
    made = []
    for task in range(count):
        inputs = [
            one.t if values is None else values[task]
            for one, values in zip(given.inputs, by_task, strict=True)
        ]
        types = [output.dtype for output in operation.outputs]
        made.append(
            tf.compat.v1.get_default_graph()
            .create_op(operation.type, inputs, types, attrs=dict(operation.node_def.attr))
            .outputs
        )
    return [pfor.wrap(tf.stack(outputs), True) for outputs in zip(*made, strict=True)]


def _integers(given: Any) -> Any:
    shape, algorithm = (tf.get_static_value(given.input(place).t) for place in (0, 3))
    kind = given.get_attr("dtype")
    if shape is None or algorithm != _PHILOX or kind not in (tf.int32, tf.uint32):
        return _one_by_one(given)
    # A seed is made a key and a counter by a draw whose key is the same for all tasks.
    keys, counters = (
        one.t if one.is_stacked else one.t[tf.newaxis] for one in map(given.input, (1, 2))
    )
    drawn = philox.words(keys, counters, math.prod(shape))
    drawn = tf.bitcast(tf.cast(drawn, tf.uint32), kind)
    return pfor.wrap(tf.reshape(drawn, [-1, *shape]), True)


def _bitcast(given: Any) -> Any:
    return pfor.wrap(tf.bitcast(given.stacked_input(0), given.get_attr("type")), True)


_CONVERTERS = {
    "StatelessRandomUniformFullIntV2": _integers,
    "Bitcast": _bitcast,
}


def register() -> None:
    """Makes `tf.vectorized_map` take these operations where it does not yet."""
    for name, converter in {**dict.fromkeys(RANDOM, _one_by_one), **_CONVERTERS}.items():
        # A later TensorFlow may have a way of its own, and registers each operation once.
        if name not in pfor._pfor_converter_registry:
            pfor.RegisterPFor(name)(converter)
