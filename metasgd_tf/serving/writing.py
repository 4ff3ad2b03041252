"""An export written: the SavedModel, what it documents, and where it comes from."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from metasgd_tf.output.provenance import provenance
from metasgd_tf.runs import evaluation
from metasgd_tf.runs.evaluation import LoadedRun
from metasgd_tf.serving import versions, warmup
from metasgd_tf.serving.served import ServedLearner
from metasgd_tf.serving.signatures import Signature, policy_signatures, signatures
from trainers.families import TaskFamily

FACTS = "export.json"
POLICY = "policy"
GOAL = (0.3, 0.3)


class Contents(NamedTuple):
    """What there is to write of a run, which depends on the kind of its tasks.

    Attributes:
      signatures: by name.
      facts: what `export.json` says of the tasks.
      add: writes what else is to lie in the version's `assets.extra`, given that folder.
    """

    signatures: dict[str, Signature]
    facts: dict[str, Any]
    add: Callable[[pathlib.Path], None]


def export(run: LoadedRun, export_dir: str, goal: Sequence[float] = GOAL) -> pathlib.Path:
    """Writes a run's learner as the next version of an export.

    Args:
      run: the run.
      export_dir: where the versions lie; made where missing.
      goal: navigation: what the policy beside the SavedModel is adapted to, [2].

    Returns:
      The version's folder.

    Raises:
      InputError: if the directory cannot be written to.
    """
    learner = run.learner
    if isinstance(run.family, TaskFamily):
        contents = _of_tasks(run, run.family)
    else:
        contents = _of_policy(run, goal)

    def write(folder: pathlib.Path) -> None:
        kept = tf.Module()
        # What the graphs read; the model itself would bring its own functions with it.
        read = [*(v.value for v in learner.model.variables), *learner.variables]
        kept.variables_read = list({id(variable): variable for variable in read}.values())
        functions = {name: one.function for name, one in contents.signatures.items()}
        # Answering takes no gradient but those that are in the graph already.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(kept, str(folder), functions, options)
        _finish_graph(folder, contents.signatures)
        extra = folder / "assets.extra"
        extra.mkdir()
        warmup.write(extra, contents.signatures, learner.inner_steps)
        text = json.dumps(_facts(run, contents.facts), indent=2) + "\n"
        (extra / FACTS).write_text(text, encoding="utf-8")
        contents.add(extra)

    return versions.write_next(export_dir, write)


def _of_tasks(run: LoadedRun, family: TaskFamily) -> Contents:
    facts = {
        "ways": family.output_size if family.classifies else None,
        "shots": family.shots,
    }
    return Contents(signatures(ServedLearner(run.learner, family)), facts, lambda extra: None)


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
    facts["goal"] = list(goal)
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
        for argument, (shape, _) in signature.inputs.items():
            info = meta_graph.signature_def[name].inputs[argument]
            info.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    functions = meta_graph.graph_def.library.function
    for node in [*meta_graph.graph_def.node, *(n for one in functions for n in one.node_def)]:
        node.attr.pop("_gradient_op_type", None)
    path.write_bytes(model.SerializeToString(deterministic=True))
    # It is a checksum of the file as it was.
    (folder / "fingerprint.pb").unlink()


def _facts(run: LoadedRun, of_tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `export.json` says of the learner and its tasks."""
    settings, learner = run.settings, run.learner
    return {
        "task": settings.task,
        "algorithm": settings.algorithm,
        "input_shape": list(run.family.input_shape),
        **of_tasks,
        "inner_steps": learner.inner_steps,
        "batch_norm": evaluation.batch_norm_of(learner),
        "checkpoint": run.checkpoint,
        "iteration": run.origin.iteration,
        "seed": settings.seed,
        **provenance(),
    }
