"""What is trained in half precision and in float32: a trainer for each case."""

import keras
import tensorflow as tf

from metasgd_tf.runs.networks import computing_in
from metasgd_tf.tasks.sinusoid import Sinusoid
from models.conv4 import conv4
from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in, uniform
from trainers.supervised.meta_trainer import MetaTrainer

OMNIGLOT_TASKS = 32
ALPHA = 0.02


def images(seed: tf.Tensor) -> Episode:
    """Draws noise in the shape of 5-way 1-shot episodes with 5 queries a class."""
    parts = [uniform(fold_in(seed, n), [5 * n, 28, 28, 1]) for n in (1, 5)]
    labels = [tf.repeat(tf.range(5), n) for n in (1, 5)]
    return Episode(parts[0], labels[0], parts[1], labels[1])


def sinusoid_trainer(precision: str) -> MetaTrainer:
    """Makes a trainer of the sinusoid, 5 shots and 4 tasks, that computes in `precision`."""
    family = Sinusoid(shots=5, queries=5)
    with computing_in(precision):
        model = family.model(0)
    learner = MetaLearner(model, family.loss, alpha_init=ALPHA)
    return MetaTrainer(learner, family.sampler("train"), meta_batch_size=4)


def omniglot_learner(precision: str) -> MetaLearner:
    """Makes a learner of `images` by Omniglot's network, which computes in `precision`."""
    with computing_in(precision):
        model = conv4((28, 28, 1), 5, 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    return MetaLearner(model, loss, alpha_init=ALPHA)


def omniglot_trainer(precision: str) -> MetaTrainer:
    """Makes a trainer of `omniglot_learner`."""
    return MetaTrainer(omniglot_learner(precision), images, meta_batch_size=OMNIGLOT_TASKS)
