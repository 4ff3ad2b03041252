"""Whether tasks as one batch have the meta-gradients that each has by itself, for every network.

    python -m benchmarks.batching_agreement --json=docs/results/batching_agreement.json

Both ways compute in float64, so that what is apart is a mistake and no rounding; with one step in
float32 too, as training does, where a maximum or a ReLU near its edge may be taken otherwise after
another rounding. Of modules and blocks that are alike a network has two and one, which the tests
have too, and graphs run as they are traced: all of them and XLA would take hours. The network with
a memory is not here: only its own learner trains it, which takes tasks as one batch itself.
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from metasgd_tf.process_environment import prepare_process

prepare_process()

import keras
import numpy as np
import tensorflow as tf

from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.provenance import provenance
from models import conv4, gaussian_policy, mlp, resnet12
from trainers.batching import batched_operations
from trainers.batching.as_products import as_products
from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_gradient import meta_gradient
from trainers.update_rule import Tensors

TASKS, WAYS, EACH = 2, 3, 2
SEEDS = ((1, 2), (3, 4))
NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "conv4": functools.partial(conv4.conv4, (8, 8, 1), WAYS, 0, filters=8),
    "conv4_pooled": functools.partial(conv4.conv4, (16, 16, 3), WAYS, 0, filters=8, pooling="max"),
    "resnet12": functools.partial(resnet12.resnet12, (8, 8, 3), WAYS, 0),
    "mlp": functools.partial(mlp.mlp, (4,), WAYS, 0),
    "gaussian_mlp": functools.partial(gaussian_policy.gaussian_mlp, (4,), 2 * WAYS, 0),
    "gaussian_mlp_of_state": functools.partial(
        gaussian_policy.gaussian_mlp_of_state, (4,), 2 * WAYS, 0
    ),
}
"""The networks by name, for small images or vectors."""

ALPHA = 0.02
COMMAND = "python -m benchmarks.batching_agreement"
COLUMNS = {
    "1 step: float64, float32": (1, False),
    "of first order: float64, float32": (1, True),
    "5 steps: float64": (5, False),
    "of first order: float64": (5, True),
}
"""Inner steps, and whether the outer gradient is of first order."""


def shorten() -> None:
    """Has networks made with fewer of the parts that are alike."""
    conv4.MODULES = 2
    resnet12.WIDTHS = (8,)


def squared(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns an example's squared error, where its class's output should be 1 and the others 0."""
    wanted = tf.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return tf.reduce_sum((outputs - wanted) ** 2, axis=-1)


def episodes(shape: Sequence[int]) -> Episode:
    """Draws two tasks of inputs of this shape, in Keras's current type."""
    random = np.random.default_rng(5)
    inputs = tf.constant(random.random((2, TASKS, WAYS * EACH, *shape)), keras.config.floatx())
    targets = tf.constant(np.tile(np.arange(WAYS, dtype=np.int32), (TASKS, EACH)))
    return Episode(inputs[0], targets, inputs[1], targets)


def both_ways(learner: MetaLearner) -> Iterator[tuple[Tensors, Tensors]]:
    """Yields each task's meta-gradient, by itself and out of the batch.

    Args:
      learner: the learner; what its model takes has one input.
    """
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    tasks, seeds = episodes(learner.model.input_shape[1:]), tf.constant(SEEDS)

    def one(task: Episode, seed: tf.Tensor) -> Tensors:
        return meta_gradient(learner, values, task, seed)[0]

    @tf.function(autograph=False)
    def batched() -> Tensors:
        batched_operations.register()
        with as_products():
            return tf.vectorized_map(
                lambda task: one(*task), (tasks, seeds), fallback_to_while_loop=False
            )

    together = batched()
    for number in range(TASKS):
        task = tf.nest.map_structure(lambda part, n=number: part[n], tasks)
        yield one(task, seeds[number]), [gradient[number] for gradient in together]


def difference(alone: Tensors, batched: Tensors) -> float:
    """Returns the norm of what is apart over the norm of what a task has by itself."""
    apart = [one - other for one, other in zip(alone, batched, strict=True)]
    return float(tf.linalg.global_norm(apart) / tf.linalg.global_norm(alone))


def largest_differences(learner: MetaLearner) -> tuple[float, float]:
    """Returns the larger `difference` of two tasks, by θ and by α."""
    count = len(learner.theta)
    pairs = list(both_ways(learner))
    return (
        max(difference(alone[:count], batched[:count]) for alone, batched in pairs),
        max(difference(alone[count:], batched[count:]) for alone, batched in pairs),
    )


def measured(name: str, options: dict[str, Any]) -> str:
    """Returns the larger difference of θ and α for a network, in each type of numbers."""
    found = []
    for kind in ("float64", "float32") if options["inner_steps"] == 1 else ("float64",):
        keras.config.set_floatx(kind)
        keras.config.set_dtype_policy(kind)
        learner = MetaLearner(NETWORKS[name](), squared, alpha_init=ALPHA, **options)
        found.append(f"{max(largest_differences(learner)):.0e}")
        keras.backend.clear_session()
    return ", ".join(found)


def rows(name: str) -> Iterator[list[str]]:
    """Yields a network's rows, one for each kind of batch normalisation that it can have."""
    normalises = name.startswith(("conv4", "resnet"))
    for batch_norm in ("transductive", "support") if normalises else ("transductive",):
        cells = [
            measured(name, {"batch_norm": batch_norm, "inner_steps": steps, "first_order": first})
            for steps, first in COLUMNS.values()
        ]
        yield [name, batch_norm if normalises else "–", *cells]


def main() -> None:
    """Compares, prints a row as soon as it is there, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--json", type=pathlib.Path, help="file to write the numbers to")
    given = parser.parse_args()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    shorten()
    made = []
    for name in given.networks:
        for row in rows(name):
            made.append(row)
            print(*row, sep=" | ", flush=True)
    if given.json:
        columns = ["", "batch normalisation", *COLUMNS]
        result = {"command": COMMAND, "columns": columns, "rows": made, **provenance()}
        with replaced(given.json) as file:
            file.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
