"""A process that trains with others, for `test_replicas`: convolutions, and then navigation."""

import functools
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from metasgd_tf.environments.navigation import Navigation2D
from metasgd_tf.tasks.navigation import Navigation
from metasgd_tf.tasks.omniglot import Omniglot
from models.gaussian_policy import gaussian_mlp
from tests.fast_network import convolutional
from trainers.devices import use_cores_for_tasks
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.advantages import Advantages

ITERATIONS = 200
TASKS = 4
SIDE = 12


def omniglot() -> Omniglot:
    """Makes tasks of made-up images."""
    images = np.random.default_rng(0).integers(0, 256, [9, 6, SIDE, SIDE, 1], np.uint8)
    return Omniglot({"train": images}, ways=3, shots=2, queries=2)


def navigation() -> Navigation:
    """Makes tasks of few steps."""
    advantages = Advantages(0.99, 1.0)
    return Navigation(
        functools.partial(Navigation2D, trajectories=3, horizon=4),
        3,
        advantages=advantages,
        outer_advantages=advantages,
    )


def trained() -> dict[str, Any]:
    """Trains both for 200 iterations; returns where they came, by names that begin with the task's.

    Made and called in the scope of a strategy, it is shared by that one's replicas.
    """
    characters, goals = omniglot(), navigation()
    networks = {
        "omniglot": (
            characters,
            convolutional(characters.input_shape, characters.output_size, 0),
        ),
        "navigation": (goals, gaussian_mlp((2,), 4, 0, hidden=(8, 8))),
    }
    found: dict[str, Any] = {}
    for name, (family, model) in networks.items():
        trainer = family.trainer(
            MetaLearner(model, family.loss, alpha_init=0.02),
            # Adam's step alone hardly tells by how much the gradients were multiplied.
            keras.optimizers.Adam(1e-3, global_clipnorm=0.1),
            meta_batch_size=TASKS,
            seed=5,
        )
        trainer.train(ITERATIONS)
        learner = trainer.learner
        parts = {
            "theta": learner.theta,
            "alpha": learner.alpha.learned,
            "moving": learner.moving_variables,
            "optimizer": trainer.optimizer.variables,
        }
        for part, variables in parts.items():
            found |= {f"{name}_{part}_{n}": each.numpy() for n, each in enumerate(variables)}
    return found


def main(output: str) -> None:
    """Trains with the other processes that `TF_CONFIG` names, and writes where it came.

    Args:
      output: an npz file.
    """
    use_cores_for_tasks()
    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        found = trained()
    np.savez(output, **found)


if __name__ == "__main__":
    main(sys.argv[1])
