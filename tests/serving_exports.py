"""Small runs to export, made without training, and exports as a server holds them."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from metasgd_tf.evaluation.trained_runs import LoadedRun
from metasgd_tf.flags import run_flags
from metasgd_tf.runs import networks
from metasgd_tf.tasks import navigation
from metasgd_tf.tasks.image_folder import ImageFolder
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from trainers.checkpoints.loading import Origin
from trainers.families import Family
from trainers.learners.meta_sgd import MetaLearner

WAYS = 5

# Loads exports in both ways without this project and writes what their serving_default answers.
FRESH = """
import importlib.abc, sys

BARRED = ("metasgd_tf", "trainers", "models", "tests", "tf_agents", "tensorflow_probability")

class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BARRED:
            raise ImportError(name + " is not TensorFlow")

sys.meta_path.insert(0, Nothing())
import numpy as np
import tensorflow as tf

for number, version in enumerate(sys.argv[1:]):
    asked = dict(np.load(f"asked{number}.npz"))
    tensors = {name: tf.constant(value) for name, value in asked.items()}
    loaded = tf.saved_model.load(version)
    given = {"load/" + n: v for n, v in loaded.signatures["serving_default"](**tensors).items()}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], version)
        signature = meta_graph.signature_def["serving_default"]
        feeds = {signature.inputs[name].name: value for name, value in asked.items()}
        fetches = {name: info.name for name, info in signature.outputs.items()}
        given |= {"session/" + n: v for n, v in session.run(fetches, feeds).items()}
    np.savez(f"given{number}.npz", **given)
barred = set(BARRED) & {name.split(".")[0] for name in sys.modules}
assert not barred, barred
"""


def drawings(seed: int, *shape: int) -> np.ndarray:
    """Returns made-up inputs of Omniglot, [*shape, 28, 28, 1] in [0, 1]: blots of ink."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([*shape, 7, 7, 1]) > 0.6
    return np.repeat(np.repeat(coarse, 4, axis=-3), 4, axis=-2).astype(np.float32)


def run(family: Family, *arguments: str) -> LoadedRun:
    """Returns a run as if it had been trained, its weights drawn by seed."""
    settings = run_flags.resolve(run_flags.parse(list(arguments)))
    learner = MetaLearner(
        networks.build(settings.model, family, 3),
        family.loss,
        alpha_init=0.1,
        inner_steps=settings.inner_steps,
        batch_norm=settings.batch_norm,
    )
    # Else every scale would be 1 and every offset 0, and a mistake with them would not show.
    rng = np.random.default_rng(0)
    for weight in [*learner.theta, *learner.alpha.rates]:
        weight.assign(weight + 0.02 * rng.standard_normal(weight.shape).astype(np.float32))
    return LoadedRun("nowhere", settings, settings.task, family, learner, "last", Origin(7, 0.0))


def omniglot_run(*arguments: str) -> LoadedRun:
    """Returns a run that tells five characters apart."""
    family = Omniglot({"test": np.zeros([WAYS, 2, 28, 28, 1], np.uint8)}, WAYS, 1, 1)
    return run(family, "--task=omniglot", *arguments)


def folder_run(channels: int) -> LoadedRun:
    """Returns a run that tells three classes of a folder of images apart, 20 × 20 pixels."""
    family = ImageFolder({"test": np.zeros([3, 2, 20, 20, channels], np.uint8)}, 3, 1, 1)
    return run(family, "--task=image_folder", "--model=tests.fast_network:network")


def sinusoid_run(*arguments: str) -> LoadedRun:
    """Returns a run of regression."""
    return run(Sinusoid(5, 5), "--task=sinusoid", *arguments)


def navigation_run(*arguments: str) -> LoadedRun:
    """Returns a run of reinforcement learning, 4 trajectories of 6 steps."""
    sizes = ["--trajectories=4", "--horizon=6"]
    settings = run_flags.parse([*sizes, *arguments])
    family = navigation.from_flags(settings, ())
    return run(family, "--task=navigation", *sizes, *arguments)


class Served:
    """An export in a session, by tag and SignatureDef, as TF Serving's C++ runtime holds it.

    Attributes:
      signatures: the SignatureDefs by name.
    """

    def __init__(self, version: pathlib.Path):
        """Loads a version."""
        with tf.Graph().as_default():
            self._session = tf.compat.v1.Session()
            meta_graph = tf.compat.v1.saved_model.load(
                self._session, [tf.saved_model.SERVING], str(version)
            )
        self.signatures = meta_graph.signature_def

    def __call__(self, name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Answers a request."""
        signature = self.signatures[name]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        return self._session.run(fetches, feeds)


class Loaded:
    """An export as `tf.saved_model.load` gives it."""

    def __init__(self, version: pathlib.Path):
        """Loads a version."""
        self._loaded = tf.saved_model.load(str(version))

    def __call__(self, name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Answers a request."""
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = self._loaded.signatures[name](**tensors)
        return {key: value.numpy() for key, value in outputs.items()}


def answers(learner: MetaLearner, support, targets, queries, steps: int | None = None):
    """Returns a learner's outputs for tasks, one after the other and without a graph."""
    outputs = []
    for task in zip(support, targets, queries, strict=True):
        inputs, wanted, asked = map(tf.constant, task)
        weights = learner.adapt(inputs, wanted, steps=steps)
        outputs.append(learner.predict(weights, asked).numpy())
    return np.stack(outputs)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities for logits."""
    return keras.ops.softmax(logits).numpy()


def answered_elsewhere(
    asked_of: Sequence[tuple[pathlib.Path, dict[str, Any]]], folder: pathlib.Path
) -> list[dict[str, np.ndarray]]:
    """Returns what exports' `serving_default` answers in a process with TensorFlow alone.

    Args:
      asked_of: exports, each with a request.
      folder: for what goes between the processes.

    Returns:
      For each export its outputs by their names under `load/` and `session/`, after the loader.
    """
    for number, (_, asked) in enumerate(asked_of):
        np.savez(folder / f"asked{number}.npz", **asked)
    versions = [str(version) for version, _ in asked_of]
    done = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, *versions],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"given{number}.npz")) for number in range(len(versions))]


def assert_plain(folder: pathlib.Path) -> None:
    """Asserts that a SavedModel holds nothing that XLA compiles or Python runs."""
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (meta_graph,) = model.meta_graphs
    graph = meta_graph.graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    assert len(nodes) > 100
    wrong = {node.op for node in nodes if "PyFunc" in node.op or "Xla" in node.op}
    assert not wrong
    # Loaders warn of gradients that were not saved with it.
    assert not any("_gradient_op_type" in node.attr for node in nodes)
    attributes = [(node.name, node.attr) for node in nodes]
    attributes += [(f.signature.name, f.attr) for f in graph.library.function]
    compiled = [
        name
        for name, attr in attributes
        for key in attr
        if "xla" in key.lower() and (attr[key].b or attr[key].s)
    ]
    assert not compiled
