"""The learner of a run: which one each value of `--algorithm` stands for."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from absl import flags

from metasgd_tf.flags import algorithms
from metasgd_tf.runs import networks
from models.memory_network import memory_network
from trainers.errors import InputError
from trainers.families import Family
from trainers.learners.anil import last_layer
from trainers.learners.embeddings.embedding_learner import without_last_layer
from trainers.learners.embeddings.matching_nets import MatchingNets
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets
from trainers.learners.embeddings.siamese_nets import SiameseNets
from trainers.learners.learner import Learner
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.mann import Mann
from trainers.learners.meta_lstm import MetaLstm
from trainers.learners.meta_sgd import MetaLearner
from trainers.learners.reptile import Reptile
from trainers.stateless.batch_norm import all_but_norms
from trainers.stateless.scores import Score
from trainers.task_family import TaskFamily

Builder = Callable[[keras.Model, Family, flags.FlagValues], Learner]


def build_learner(
    family: Family, settings: flags.FlagValues, of_network: Family | None = None
) -> Learner:
    """Makes the learner that a run's flags describe, with its network.

    Args:
      family: the tasks.
      settings: the run's flags, resolved.
      of_network: tasks of as many ways as the network has outputs, if that is not how many `family`
        has; for a `--tied_head`.

    Raises:
      InputError: if the network does not fit the tasks, or the learner cannot learn them.
    """
    kind = algorithms.kind_of(settings.task) or kind_of(family)
    algorithms.refuse_other_kinds(settings.algorithm, settings.task, kind)
    algorithms.refuse_half_precision(settings, kind)
    model = _network(of_network or family, settings)
    return BUILDERS[settings.algorithm](model, family, settings)


def _network(family: Family, settings: flags.FlagValues) -> keras.Model:
    """Builds the network of the task, of `--model`, or the one that an algorithm has of its own."""
    if algorithms.ALGORITHMS[settings.algorithm].own_network:
        return _memory_network(family, settings)
    with networks.computing_in(settings.precision):
        return networks.build(settings.model, family, settings.seed, settings.task)


def _memory_network(family: Family, settings: flags.FlagValues) -> keras.Model:
    assert isinstance(family, TaskFamily), family
    for kind, spec in (("inputs", family.input_spec), ("targets", family.target_spec)):
        if not isinstance(spec, tf.TensorSpec):
            raise InputError(
                f"algorithm={settings.algorithm}: its network takes one tensor, and task="
                f"{settings.task} has {kind} {spec}; should be another algorithm"
            )
    embedding = None
    if settings.model is not None:
        embedding = without_last_layer(networks.build(settings.model, family, settings.seed))
    return memory_network(family.input_shape, family.output_size, settings.seed, embedding)


def kind_of(family: Family) -> str:
    """Returns which of `algorithms.EVERY_KIND` the tasks of a family are."""
    if not isinstance(family, TaskFamily):
        return "navigation"
    return "classification" if family.classifies else "regression"


def _of_fast_weights(family: Family, settings: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments that all learners of fast weights take."""
    return {
        "loss": family.loss,
        "metrics": family.metrics,
        "inner_steps": settings.inner_steps,
        "batch_norm": settings.batch_norm,
    }


def _of_embeddings(family: Family, settings: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments that all learners that compare embeddings take."""
    return {
        "ways": family.output_size,
        "train_ways": settings.train_ways,
        "metrics": family.metrics,
        "batch_norm": settings.batch_norm,
    }


ADAPTED: dict[str, Callable[[keras.Model], list[int] | None]] = {
    "all": lambda model: None,
    "all_but_norms": all_but_norms,
    "last_layer": last_layer,
}


def _of_rates_and_head(family: Family, settings: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments that Meta-SGD, MAML and MAML++ take."""
    return {
        "alpha_init": settings.alpha_init,
        "body_alpha_init": settings.body_alpha_init,
        "tied_head": bool(settings.tied_head),
        "ways": family.output_size if settings.tied_head else None,
        "train_ways": settings.train_ways,
        "remat": settings.remat,
    }


def _refuse_unless_classification(family: Family, settings: flags.FlagValues) -> None:
    for name in ("tied_head", "train_ways", "label_smoothing"):
        if settings[name].value and kind_of(family) != "classification":
            raise InputError(
                f"{name}={settings[name].value}: is for classification, and task={settings.task} "
                f"is {kind_of(family)}; should be left out"
            )


def _by_gradients(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    _refuse_unless_classification(family, settings)
    adapted = settings.adapted or ("last_layer" if settings.algorithm == "anil" else "all")
    return MetaLearner(
        model,
        **_of_fast_weights(family, settings),
        alpha=settings.alpha,
        **_of_rates_and_head(family, settings),
        first_order=settings.first_order,
        adapted=ADAPTED[adapted](model),
        outer_loss=_smoothed(settings.label_smoothing) if settings.label_smoothing else None,
        seed=settings.seed,
    )


def _smoothed(smoothing: float) -> Score:
    """Returns the cross-entropy [N] to targets of which a share is spread over all classes.

        (1 − ε) · (−log p_y) + ε · mean_c (−log p_c)

    Source: Szegedy et al. 2016, section 7.
    """

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        spread = tf.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
        return keras.losses.categorical_crossentropy(
            spread, outputs, from_logits=True, label_smoothing=smoothing
        )

    return loss


def _maml_plus_plus(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    _refuse_unless_classification(family, settings)
    return MamlPlusPlus(
        model,
        **_of_fast_weights(family, settings),
        **_of_rates_and_head(family, settings),
        multi_step_iterations=settings.multi_step_iterations,
        first_order_iterations=settings.first_order_iterations,
    )


def _meta_lstm(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    return MetaLstm(model, **_of_fast_weights(family, settings), seed=settings.seed)


def _reptile(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    return Reptile(
        model,
        **_of_fast_weights(family, settings),
        inner_optimizer=settings.inner_optimizer,
        inner_rate=settings.inner_rate,
        inner_batch=settings.inner_batch,
        seed=settings.seed,
    )


def _matching_nets(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    return MatchingNets(
        without_last_layer(model),
        family.loss,
        **_of_embeddings(family, settings),
        temperature=settings.temperature,
        full_context=settings.full_context_embeddings,
        seed=settings.seed,
    )


def _prototypical_nets(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    embedding = without_last_layer(model)
    return PrototypicalNets(embedding, family.loss, **_of_embeddings(family, settings))


def _siamese_nets(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    return SiameseNets(without_last_layer(model), **_of_embeddings(family, settings))


def _mann(model: keras.Model, family: Family, settings: flags.FlagValues) -> Learner:
    return Mann(
        model,
        family.loss,
        classes=kind_of(family) == "classification",
        metrics=family.metrics,
        train_on=settings.train_on,
    )


BUILDERS: dict[str, Builder] = {
    "meta_sgd": _by_gradients,
    "meta_sgd_first_order": _by_gradients,
    "layer_rates": _by_gradients,
    "scalar_rate": _by_gradients,
    "maml": _by_gradients,
    "maml_first_order": _by_gradients,
    "anil": _by_gradients,
    "maml_plus_plus": _maml_plus_plus,
    "meta_lstm": _meta_lstm,
    "matching_nets": _matching_nets,
    "prototypical_nets": _prototypical_nets,
    "siamese_nets": _siamese_nets,
    "reptile": _reptile,
    "mann": _mann,
}
