"""Tasks whose images tell nothing apart: every learner stays finite, and is at chance.

Variances, distances and norms of differences are 0 there, and so are some gradients' denominators.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.conv4 import conv4
from tests.trainers.learners.test_conformance import LEARNERS, WAYS, Shades, marked, task
from trainers.learners.meta_sgd import MetaLearner


def of_conv4(family):
    """Batch normalisation meets nothing but variances of 0."""
    model = conv4(family.input_shape, WAYS, seed=0)
    return MetaLearner(model, family.loss, metrics=family.metrics, alpha_init=0.05)


MADE = LEARNERS | {"meta_sgd_of_conv4": of_conv4}


def family_of(images):
    """Returns tasks of these images, broadcast to ten classes of six."""
    shown = np.broadcast_to(images, (10, 6, 8, 8, 1)).astype(np.uint8)
    return Shades(dict.fromkeys(("train", "validation", "test"), shown), WAYS, 2, 2)


def one_a_class():
    return np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8, 1))


def one_for_all():
    return np.random.default_rng(1).integers(0, 256, (1, 1, 8, 8, 1))


IMAGES = {"one a class": one_a_class, "one for all": one_for_all, "black": lambda: np.zeros(1)}


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("name", marked(MADE))
def test_training_and_adaptation_stay_finite(name, images):
    family = family_of(IMAGES[images]())
    learner = MADE[name](family)
    learner.model.layers[0].supports_jit = False
    trainer = family.trainer(learner, keras.optimizers.Adam(0.01), meta_batch_size=2, seed=3)
    told = trainer.train(3)
    assert np.isfinite(list(told.values())).all(), told
    for variable in learner.meta_variables:
        assert np.isfinite(tf.convert_to_tensor(variable)).all(), variable.path
    episode = task(family)
    state = learner.adapt(episode.support_inputs, episode.support_targets)
    outputs = learner.predict(state, episode.query_inputs).numpy()
    assert np.isfinite(outputs).all()
    if images == "one a class":
        np.testing.assert_allclose(outputs[::2], outputs[1::2], rtol=1e-4, atol=1e-5)
    else:
        # One image, so one answer, which is right for one class of three.
        np.testing.assert_allclose(outputs, outputs[:1].repeat(len(outputs), 0), atol=1e-5)
        scores, _ = learner.score(state, episode.query_inputs, episode.query_targets)
        assert float(scores["accuracy"]) == pytest.approx(1 / WAYS)
