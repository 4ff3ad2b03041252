"""An export whose tasks are one batch of each operation, beside one that takes each by itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.serving import answers as module
from metasgd_tf.serving.writing import export_learner
from tests.serving_exports import Served
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner

WAYS, TASKS, QUERIES = 3, 5, 4
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(WAYS),
        ]
    )


def request():
    random = np.random.default_rng(3)
    return {
        "support_inputs": random.random((TASKS, WAYS, 6, 6, 1), np.float32),
        "support_targets": np.tile(np.arange(WAYS, dtype=np.int32), (TASKS, 1)),
        "query_inputs": random.random((TASKS, QUERIES, 6, 6, 1), np.float32),
    }


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    learner = MetaLearner(network(), LOSS, alpha_init=0.5)
    labels = tf.range(WAYS)
    episode = Episode(tf.zeros([WAYS, 6, 6, 1]), labels, tf.zeros([WAYS, 6, 6, 1]), labels)
    with pytest.MonkeyPatch.context() as patch:
        # So that five tasks of seven examples are done two at a time.
        patch.setattr(module, "tasks_at_once", lambda model, examples: 2 * (WAYS + QUERIES))
        return [
            Served(
                export_learner(
                    learner,
                    episode,
                    str(tmp_path_factory.mktemp(way)),
                    classifies=True,
                    task_batching=way,
                )
            )
            for way in ("batched", "side_by_side")
        ]


@pytest.mark.parametrize(
    ("signature", "more"),
    [("serving_default", {}), ("serving_default_steps", {"inner_steps": np.int32(3)})],
)
def test_both_exports_answer_alike(exports, signature, more):
    batched, beside = (served(signature, **request(), **more) for served in exports)
    assert batched["probabilities"].shape == (TASKS, QUERIES, WAYS)
    np.testing.assert_allclose(batched["probabilities"], beside["probabilities"], atol=1e-5)


def test_a_state_of_one_serves_the_other(exports):
    batched, beside = exports
    asked = request()
    queries = {"query_inputs": asked.pop("query_inputs")}
    state = batched("adapt", **asked)["state"]
    np.testing.assert_allclose(state, beside("adapt", **asked)["state"], atol=1e-5)
    one, other = (served("predict", state=state, **queries) for served in exports)
    np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-5)


def test_an_unknown_way_is_refused(tmp_path):
    with pytest.raises(InputError, match="task_batching='whole': should be one of side_by_side"):
        export_learner(None, None, str(tmp_path), task_batching="whole")
