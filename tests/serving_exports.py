"""Small runs to export, made without training, and exports as a server holds them."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from metasgd_tf import run_flags
from metasgd_tf.evaluation import LoadedRun
from metasgd_tf.tasks.image_folder import ImageFolder
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.tasks.sinusoid import Sinusoid
from trainers.checkpoints import Origin
from trainers.families import TaskFamily
from trainers.learner import MetaLearner

WAYS = 5


def drawings(seed: int, *shape: int) -> np.ndarray:
    """Returns made-up inputs of Omniglot, [*shape, 28, 28, 1] in [0, 1]: blots of ink."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([*shape, 7, 7, 1]) > 0.6
    return np.repeat(np.repeat(coarse, 4, axis=-3), 4, axis=-2).astype(np.float32)


def run(family: TaskFamily, *arguments: str) -> LoadedRun:
    """Returns a run as if it had been trained, its weights drawn by seed."""
    settings = run_flags.resolve(run_flags.parse(list(arguments)))
    learner = MetaLearner(
        family.model(3),
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
    """Returns a run that tells three classes of a folder of pictures apart, 20 × 20 pixels."""
    family = ImageFolder({"test": np.zeros([3, 2, 20, 20, channels], np.uint8)}, 3, 1, 1)
    return run(family, "--task=image_folder")


def sinusoid_run(*arguments: str) -> LoadedRun:
    """Returns a run of regression."""
    return run(Sinusoid(5, 5), "--task=sinusoid", *arguments)


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
