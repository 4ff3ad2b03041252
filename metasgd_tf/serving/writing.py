"""An export written: the SavedModel, what it documents, and where it comes from."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from metasgd_tf.evaluation import LoadedRun
from metasgd_tf.picture_tasks import PictureClassification
from metasgd_tf.provenance import provenance
from metasgd_tf.serving import versions, warmup
from metasgd_tf.serving.served import ServedLearner
from metasgd_tf.serving.signatures import Signature, signatures

FACTS = "export.json"


def export(run: LoadedRun, export_dir: str) -> pathlib.Path:
    """Writes a run's learner as the next version of an export.

    Args:
      run: the run.
      export_dir: where the versions lie; made where missing.

    Returns:
      The version's folder.

    Raises:
      InputError: if the directory cannot be written to.
    """
    learner = run.learner
    offered = signatures(ServedLearner(learner, run.family))

    def write(folder: pathlib.Path) -> None:
        kept = tf.Module()
        # What the graphs read; the model itself would bring its own functions with it.
        kept.variables_read = [v.value for v in learner.model.variables] + learner.alpha.rates
        functions = {name: one.function for name, one in offered.items()}
        tf.saved_model.save(kept, str(folder), signatures=functions)
        _document_shapes(folder, offered)
        extra = folder / "assets.extra"
        extra.mkdir()
        warmup.write(extra, offered, learner.inner_steps)
        text = json.dumps(_facts(run), indent=2) + "\n"
        (extra / FACTS).write_text(text, encoding="utf-8")

    return versions.write_next(export_dir, write)


def _document_shapes(folder: pathlib.Path, offered: Mapping[str, Signature]) -> None:
    """Writes the shapes that inputs should have into the signatures, for people and tools to read.

    The graph's own inputs are of unknown rank, which is what a signature would say of them.
    """
    path = folder / tf.saved_model.SAVED_MODEL_FILENAME_PB
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    for name, signature in offered.items():
        for argument, (shape, _) in signature.inputs.items():
            info = meta_graph.signature_def[name].inputs[argument]
            info.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    path.write_bytes(model.SerializeToString(deterministic=True))
    # It is a checksum of the file as it was.
    (folder / "fingerprint.pb").unlink()


def _facts(run: LoadedRun) -> dict[str, Any]:
    """Returns what `export.json` says of the learner and its tasks."""
    settings, learner, family = run.settings, run.learner, run.family
    classifies = isinstance(family, PictureClassification)
    return {
        "task": settings.task,
        "algorithm": settings.algorithm,
        "input_shape": list(family.input_shape),
        "ways": family.output_size if classifies else None,
        "shots": family.shots,
        "inner_steps": learner.inner_steps,
        "batch_norm": learner.batch_norm if learner.pure_model.batch_norms else None,
        "checkpoint": run.checkpoint,
        "iteration": run.origin.iteration,
        "seed": settings.seed,
        **provenance(),
    }
