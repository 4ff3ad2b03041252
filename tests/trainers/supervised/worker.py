"""A worker of a training that several processes share, for `test_workers`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, uniform
from trainers.supervised.meta_trainer import MetaTrainer


def task(seed: tf.Tensor) -> Episode:
    """Draws a sine of a phase of its own."""
    inputs = 10.0 * uniform(fold_in(seed, 0), [10, 2]) - 5.0
    targets = tf.sin(inputs + 3.0 * uniform(fold_in(seed, 1), []))[:, :1]
    return Episode(inputs[:5], targets[:5], inputs[5:], targets[5:])


def network() -> keras.Model:
    """Builds a network with moving averages, which workers must share too."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8, "tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )


def trained(stop: Callable[[], object], last: int = 200) -> dict[str, Any]:
    """Trains 12 iterations and then to the last one, unless it is stopped; says where it came."""
    trainer = MetaTrainer(
        MetaLearner(network(), "mean_squared_error", alpha_init=0.02),
        task,
        # Adam's step alone hardly tells by how much the gradients were multiplied.
        keras.optimizers.Adam(1e-3, global_clipnorm=0.5),
        meta_batch_size=4,
        seed=5,
        jit_compile=False,
    )
    trainer.train(12)
    trainer.train(last - 12, stop)
    learner = trainer.learner
    variables = [
        *learner.meta_variables,
        *learner.moving_variables,
        *trainer.optimizer.variables,
    ]
    # Keras's own names depend on what a process has made before.
    numbered = {f"variable_{number}": each.numpy() for number, each in enumerate(variables)}
    return numbered | {"iteration": trainer.iteration.numpy()}


def main(output: str, stops: str) -> None:
    """Trains with the other workers that `TF_CONFIG` names, and writes what it has.

    Args:
      output: an npz file.
      stops: `stops` where this worker wants to stop as soon as it is asked, or `goes_on`.
    """
    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        found = trained(lambda: stops == "stops")
    np.savez(output, **found)
