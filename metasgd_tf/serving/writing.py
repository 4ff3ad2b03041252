"""Writes an export: the SavedModel, a description of it, and its provenance."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from metasgd_tf.evaluation import trained_runs
from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.output.provenance import provenance
from metasgd_tf.serving import task_spec, versions, warmup
from metasgd_tf.serving.served import ServedLearner
from metasgd_tf.serving.signatures import Signature, policy_signatures, signatures
from metasgd_tf.serving.task_spec import TaskSpec
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.task_family import TaskFamily

FACTS = "export.json"
POLICY = "policy"
GOAL = (0.3, 0.3)
TASK_BATCHINGS = ("side_by_side", "batched")


class Contents(NamedTuple):
    """The contents of an export, which depend on the kind of tasks.

    Attributes:
      signatures: by name.
      facts: what `export.json` says of the tasks.
      add: writes what else is to lie in the version's `assets.extra`, given that folder.
    """

    signatures: dict[str, Signature]
    facts: dict[str, Any]
    add: Callable[[pathlib.Path], None]


def export(
    run: LoadedRun,
    export_dir: str,
    goal: Sequence[float] = GOAL,
    *,
    task_batching: str = "side_by_side",
) -> pathlib.Path:
    """Writes a run's learner as the next version of an export.

    Args:
      run: the run.
      export_dir: where the versions lie; made where missing.
      goal: navigation: what the policy beside the SavedModel is adapted to, [2].
      task_batching: one of `TASK_BATCHINGS`, how an export of supervised tasks takes a request's
        tasks. `batched` does each operation for as many at once as fit, as a GPU needs it;
        `side_by_side` gives each task operations of its own, which the cores of a CPU share.

    Returns:
      The version's folder.

    Raises:
      InputError: if the directory cannot be written to, or the model cannot be batched.
    """
    if isinstance(run.family, TaskFamily):
        spec = task_spec.of_family(run.family)
        contents = _of_tasks(run.learner, spec, batched=task_batching == "batched")
        contents.facts["shots"] = int(run.family.shots)
    else:
        contents = _of_policy(run, goal)
    facts = {
        "task": run.settings.task,
        "algorithm": run.settings.algorithm,
        **contents.facts,
        "checkpoint": run.checkpoint,
        "iteration": run.origin.iteration,
        "seed": run.settings.seed,
    }
    return _write(run.learner, contents._replace(facts=facts), export_dir)


def export_learner(
    learner: Learner,
    episode: Episode,
    export_dir: str,
    *,
    classifies: bool = False,
    task_batching: str = "side_by_side",
) -> pathlib.Path:
    """Writes a learner that was trained from Python as the next version of an export.

    It has the signatures of a run's export: `serving_default`, `adapt` and `predict`, and of a
    `MetaLearner` `serving_default_steps` and `adapt_steps`.

    Args:
      learner: the learner; its variables are written as they are.
      episode: a task, which shows the shapes and types of examples. Inputs and targets may be
        nested: `{"age": …, "words": …}` become `support_inputs_age`, `support_inputs_words` and so
        on.
      export_dir: where the versions lie; made where missing.
      classifies: whether targets are class numbers and the model's outputs their logits. The
        answers are then `probabilities` and `classes`, and else `predictions`.
      task_batching: one of `TASK_BATCHINGS`, as in `export`.

    Returns:
      The version's folder.

    Raises:
      InputError: if the directory cannot be written to, `classifies` does not fit, or
        `task_batching` is unknown or `batched` and the model cannot be.
    """
    if task_batching not in TASK_BATCHINGS:
        raise InputError(
            f"task_batching={task_batching!r}: should be one of {', '.join(TASK_BATCHINGS)}"
        )
    spec = task_spec.of_episode(episode, classifies)
    contents = _of_tasks(learner, spec, batched=task_batching == "batched")
    return _write(learner, contents, export_dir)


def _write(learner: Learner, contents: Contents, export_dir: str) -> pathlib.Path:
    facts = {
        **contents.facts,
        "inner_steps": learner.inner_steps,
        "batch_norm": trained_runs.batch_norm_of(learner),
        **provenance(),
    }

    def write(folder: pathlib.Path) -> None:
        kept = tf.Module()
        # What the graphs read; the model itself would bring its own functions with it.
        kept.resources_read = _resources(learner)
        functions = {name: one.function for name, one in contents.signatures.items()}
        # Answering takes no gradient but those that are in the graph already.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        try:
            tf.saved_model.save(kept, str(folder), functions, options)
        except AssertionError as error:
            # TensorFlow's answer to a resource that belongs to nothing that is saved.
            raise InputError(
                f"model={learner.model.name!r}: cannot be exported, as it reads a variable or a "
                "table that is no attribute of one of its layers"
            ) from error
        _finish_graph(folder, contents.signatures)
        extra = folder / "assets.extra"
        extra.mkdir()
        warmup.write(extra, contents.signatures, learner.inner_steps)
        (extra / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        contents.add(extra)

    return versions.write_next(export_dir, write)


def _resources(learner: Learner) -> list[Any]:
    """Returns the variables and lookup tables that a learner's graphs read, without duplicates."""
    of_layers = [
        value
        for layer in learner.model._flatten_layers()
        for value in vars(layer).values()
        if isinstance(value, tf.Variable | tf.saved_model.experimental.TrackableResource)
    ]
    keras_variables = [
        v for v in learner.meta_variables if isinstance(v, keras.Variable)
    ] + learner.model.variables
    read = [*(v.value for v in keras_variables), *learner.variables, *of_layers]
    return list({id(resource): resource for resource in read}.values())


def _of_tasks(learner: Learner, spec: TaskSpec, *, batched: bool = False) -> Contents:
    served = ServedLearner(learner, spec, batched=batched)
    facts = {
        "input_shape": _shapes(spec.inputs),
        "ways": served.ways or None,
        "task_batching": TASK_BATCHINGS[batched],
    }
    return Contents(signatures(served), facts, lambda extra: None)


def _shapes(specs: Any) -> Any:
    """Returns the shapes of a nested structure of specs, as lists and dicts."""
    if isinstance(specs, tf.TensorSpec):
        return list(specs.shape)
    if isinstance(specs, Mapping):
        return {key: _shapes(part) for key, part in specs.items()}
    return [_shapes(part) for part in specs]


def _of_policy(run: LoadedRun, goal: Sequence[float]) -> Contents:
    # They import TF-Agents, which supervised runs can do without.
    from metasgd_tf.serving import agents, policies
    from metasgd_tf.tasks.navigation import Navigation

    learner, family = run.learner, run.family
    assert isinstance(family, Navigation), family
    offered = policy_signatures(
        policies.acting(learner, family), family.input_shape, family.output_size // 2
    )
    weights = agents.adapted_to(goal, learner, family)
    facts = {
        name: run.settings[name].value
        for name in (
            "trajectories",
            "horizon",
            "inner_discount",
            "inner_gae_lambda",
            "inner_normalise",
            "inner_times_reward",
        )
    }
    facts = {"input_shape": list(family.input_shape), **facts, "goal": list(goal)}
    return Contents(
        offered, facts, lambda extra: agents.save(weights, learner, family, extra / POLICY)
    )


def _finish_graph(folder: pathlib.Path, offered: Mapping[str, Signature]) -> None:
    """Writes the shapes that inputs should have into the signatures, for people and tools to read.

    The graph's own inputs are of unknown rank, which is what a signature would say of them. And
    operations forget the custom gradients that were not saved, as loaders would warn of each.
    """
    path = folder / tf.saved_model.SAVED_MODEL_FILENAME_PB
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    for name, signature in offered.items():
        for argument, spec in signature.inputs.items():
            info = meta_graph.signature_def[name].inputs[argument]
            info.tensor_shape.CopyFrom(spec.shape.as_proto())
    functions = meta_graph.graph_def.library.function
    for node in [*meta_graph.graph_def.node, *(n for one in functions for n in one.node_def)]:
        node.attr.pop("_gradient_op_type", None)
    path.write_bytes(model.SerializeToString(deterministic=True))
    # It is a checksum of the file as it was.
    (folder / "fingerprint.pb").unlink()
