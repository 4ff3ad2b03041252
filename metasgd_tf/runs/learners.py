"""The learner of a run: which one each value of `--algorithm` stands for."""

import keras
from absl import flags

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.runs import networks
from trainers.errors import InputError
from trainers.families import Family
from trainers.learners.anil import last_layer
from trainers.learners.embedding import EmbeddingLearner, without_last_layer
from trainers.learners.learner import Learner
from trainers.learners.matching_nets import MatchingNets
from trainers.learners.meta_sgd import MetaLearner
from trainers.learners.prototypical_nets import PrototypicalNets
from trainers.task_family import TaskFamily


def build_learner(family: Family, settings: flags.FlagValues) -> Learner:
    """Makes the learner that a run's flags describe, with its network.

    Raises:
      InputError: if the network does not fit the tasks, or the learner cannot learn them.
    """
    model = networks.build(settings.model, family, settings.seed)
    algorithm = ALGORITHMS[settings.algorithm]
    if algorithm.alpha is None:
        return _comparing(model, family, settings)
    return MetaLearner(
        model,
        family.loss,
        metrics=family.metrics,
        alpha=settings.alpha,
        alpha_init=settings.alpha_init,
        inner_steps=settings.inner_steps,
        first_order=settings.first_order,
        batch_norm=settings.batch_norm,
        adapted=last_layer(model) if algorithm.last_layer else None,
        seed=settings.seed,
    )


def _comparing(model: keras.Model, family: Family, settings: flags.FlagValues) -> EmbeddingLearner:
    """Makes a learner that compares embeddings, the inputs of the network's last layer."""
    if not isinstance(family, TaskFamily) or not family.classifies:
        raise InputError(
            f"algorithm={settings.algorithm}: classifies, and task={settings.task} has no classes; "
            "should be one that takes gradient steps, such as meta_sgd or maml"
        )
    options = {
        "train_ways": settings.train_ways,
        "metrics": family.metrics,
        "batch_norm": settings.batch_norm,
    }
    embedding = without_last_layer(model)
    if settings.algorithm == "matching_nets":
        options["temperature"] = settings.temperature
        return MatchingNets(embedding, family.loss, family.output_size, **options)
    return PrototypicalNets(embedding, family.loss, family.output_size, **options)
