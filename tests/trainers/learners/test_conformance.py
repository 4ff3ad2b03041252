"""What every learner offers: each one here is trained, evaluated, saved, watched and exported.

One of them is compiled, as each would take XLA several times as long as all else here; the commands
of `tests.metasgd_tf` compile the others.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.flags import run_flags
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.runs.summaries import Summaries
from metasgd_tf.serving import task_spec
from metasgd_tf.serving.served import ServedLearner
from metasgd_tf.serving.signatures import signatures
from models.conv4 import conv4
from models.memory_network import memory_network
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.learners.embeddings.matching_nets import MatchingNets
from trainers.learners.embeddings.prototypical_nets import PrototypicalNets
from trainers.learners.embeddings.siamese_nets import SiameseNets
from trainers.learners.learner import Learner
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.mann import Mann
from trainers.learners.meta_lstm import MetaLstm
from trainers.learners.meta_sgd import MetaLearner
from trainers.learners.reptile import Reptile
from trainers.seeds import stream
from trainers.stateless.pure_model import PureModel
from trainers.supervised.meta_batch import WAYS as WAYS_TO_RUN
from trainers.supervised.meta_gradient import meta_gradient

WAYS = 3


class NearestMean(Learner):
    """A learner without α: the class whose support images' mean output is the nearest."""

    predicts_unadapted = False

    def __init__(self, model, loss, metrics):
        super().__init__(name="nearest_mean")
        self.model, self.pure_model = model, PureModel(model)
        self.scores = {"loss": keras.losses.get(loss), **metrics}

    @property
    def meta_variables(self):
        return self.pure_model.weights

    def adapt(self, inputs, targets, *, steps=None, values=None, training=False, seed=None):
        del steps
        weights = [tf.convert_to_tensor(v) for v in values or self.meta_variables]
        outputs = self.pure_model(weights, inputs, training=training, seed=seed).outputs
        chosen = tf.one_hot(targets, WAYS, dtype=outputs.dtype)
        means = tf.einsum("nw,nd->wd", chosen, outputs) / tf.reduce_sum(chosen, 0)[:, tf.newaxis]
        return {"means": means, "weights": weights}

    def predict(self, state, inputs):
        outputs = self.pure_model(state["weights"], inputs, training=False).outputs
        apart = outputs[:, tf.newaxis] - state["means"]
        return -tf.reduce_sum(tf.square(apart), -1)

    def score(self, state, inputs, targets, *, training=False, seed=None):
        outputs = self.predict(state, inputs)
        scores = {
            name: tf.reduce_mean(tf.cast(score(targets, outputs), tf.float32))
            for name, score in self.scores.items()
        }
        return scores, []


class Shades(ImageClassification):
    """Images whose class is their shade."""

    def model(self, seed):
        return conv4(self.input_shape, self.output_size, seed)


def shades():
    random = np.random.default_rng(0)
    images = 20 * np.arange(10)[:, None, None, None, None] + random.integers(0, 9, (10, 6, 8, 8, 1))
    held = {split: images.astype(np.uint8) for split in ("train", "validation", "test")}
    return Shades(held, WAYS, 2, 2)


def dense_model():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(WAYS, "tanh")]
    )


def small_conv():
    """Returns a model that XLA does not compile, which would take long for an LSTM's loop."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(2, 4, 4), keras.layers.Flatten(), keras.layers.Dense(3, "tanh")]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def normalised_model():
    model = dense_model()
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(WAYS))
    return model


def meta_sgd(family, hidden=False, **options):
    model = dense_model()
    if hidden:
        model.add(keras.layers.Dense(WAYS))
    return MetaLearner(model, family.loss, metrics=family.metrics, alpha_init=0.05, **options)


def mann(family, embedding=None):
    # Slots enough for every write: which one is the least used would else jump with the weights.
    network = memory_network((8, 8, 1), WAYS, 1, embedding, units=16, slots=32, width=4, heads=2)
    return Mann(network, family.loss, classes=True, metrics=family.metrics)


LEARNERS = {
    "meta_sgd": meta_sgd,
    "maml": lambda family: meta_sgd(family, alpha="fixed", inner_steps=2),
    "anil": lambda family: meta_sgd(family, alpha="fixed", adapted=[2, 3], hidden=True),
    "maml_plus_plus": lambda family: MamlPlusPlus(
        normalised_model(), family.loss, metrics=family.metrics, inner_steps=2, alpha_init=0.05
    ),
    "meta_lstm": lambda family: MetaLstm(
        dense_model(), family.loss, metrics=family.metrics, inner_steps=2
    ),
    "prototypical_nets": lambda family: PrototypicalNets(
        dense_model(), family.loss, WAYS, metrics=family.metrics
    ),
    "matching_nets": lambda family: MatchingNets(
        dense_model(), family.loss, WAYS, metrics=family.metrics, temperature=5.0
    ),
    "matching_nets_with_context": lambda family: MatchingNets(
        small_conv(), family.loss, WAYS, metrics=family.metrics, full_context=True
    ),
    "siamese_nets": lambda family: SiameseNets(dense_model(), WAYS, metrics=family.metrics),
    "reptile": lambda family: Reptile(
        dense_model(), family.loss, metrics=family.metrics, inner_batch=4, inner_steps=2
    ),
    "mann": mann,
    "mann_with_embedding": lambda family: mann(family, small_conv()),
    "nearest_mean": lambda family: NearestMean(dense_model(), family.loss, family.metrics),
}
OF_ANOTHER_GRADIENT = {"meta_lstm", "reptile"}
"""Learners whose outer loop does not descend the loss that is shown, or takes parts of it for
constants; their own tests have numbers to compare with."""


COMPILED = "prototypical_nets"
FIRST = ("meta_sgd", "maml", "prototypical_nets")
"""A learner of gradient steps, one with several, and one without; the others take far longer."""


def marked(names):
    return [pytest.param(n, marks=[] if n in FIRST else [pytest.mark.slow]) for n in names]


@pytest.fixture(scope="module", params=marked(LEARNERS))
def made(request):
    family = shades()
    learner = LEARNERS[request.param](family)
    learner.model.layers[0].supports_jit = request.param == COMPILED
    return learner, family


@pytest.fixture(scope="module")
def trainer(made):
    """Traced once for all tests of a learner."""
    learner, family = made
    return family.trainer(learner, keras.optimizers.Adam(0.01), meta_batch_size=4, seed=3)


def meta_values(learner):
    return [tf.convert_to_tensor(variable).numpy() for variable in learner.meta_variables]


def task(family, seed=5):
    return family.episode(tf.constant([seed, 1]), "train")


@pytest.mark.parametrize(
    "made", marked(sorted(LEARNERS.keys() - OF_ANOTHER_GRADIENT)), indirect=True
)
def test_the_meta_gradient_equals_central_differences(made):
    learner, family = made
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    gradient, scores, _ = meta_gradient(learner, values, task(family), tf.constant([1, 2]))
    assert set(scores) == set(learner.scores) and "loss" in scores

    def loss(moved):
        return float(meta_gradient(learner, moved, task(family), tf.constant([1, 2]))[1]["loss"])

    random = np.random.default_rng(4)
    along = [tf.constant(random.normal(size=v.shape), v.dtype) for v in values]
    up, down = (
        loss([v + sign * 3e-3 * d for v, d in zip(values, along, strict=True)]) for sign in (1, -1)
    )
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradient, along, strict=True))
    np.testing.assert_allclose(slope, (up - down) / 6e-3, rtol=0.03, atol=3e-3)


def test_training_moves_every_meta_variable_and_lowers_the_loss(made, trainer):
    learner, _ = made
    before = meta_values(learner)
    first = trainer.train(1)["loss"]
    trainer.train(60)
    assert trainer.train(20)["loss"] < first
    for old, new in zip(before, meta_values(learner), strict=True):
        assert not np.allclose(old, new)
    compiled = learner.model.layers[0].supports_jit
    assert (trainer.way == WAYS_TO_RUN[-1]) == (not compiled)


def test_a_saved_training_goes_on_as_if_it_had_not_ended(made, trainer, tmp_path):
    learner, family = made
    trainer.train(3)
    done = int(trainer.iteration.numpy())
    RunCheckpoints(trainer, str(tmp_path), family.metric_mode).save(0.0)
    trainer.train(3)
    expected = meta_values(learner)
    RunCheckpoints(trainer, str(tmp_path), family.metric_mode).restore()
    assert int(trainer.iteration.numpy()) == done
    trainer.train(3)
    for value, again in zip(expected, meta_values(learner), strict=True):
        np.testing.assert_array_equal(value, again)


def test_tensorboard_gets_the_scores_of_its_states(made, tmp_path):
    learner, family = made
    settings = run_flags.resolve(run_flags.parse(["--task=omniglot", "--validation_tasks=3"]))
    summaries = Summaries(tmp_path, learner, family, settings)
    _, scores = summaries._evaluate()
    assert scores["accuracy"].shape == (3, learner.inner_steps + 1)
    assert np.isnan(scores["accuracy"][:, 0]).all() == (not learner.predicts_unadapted)
    (protocol,), seed = family.protocols(3), stream(settings.seed, "validation")
    for number in range(2):
        episode = family.evaluation_episode(
            seed, "validation", protocol, tf.constant(number), tf.constant(0)
        )
        state = learner.adapt(episode.support_inputs, episode.support_targets)
        said = tf.argmax(learner.predict(state, episode.query_inputs), -1, tf.int32)
        right = np.mean(said.numpy() == episode.query_targets.numpy())
        np.testing.assert_allclose(scores["accuracy"][number, -1], right, rtol=1e-6)
    assert summaries.evaluation(1) == pytest.approx(scores["accuracy"][:, -1].mean())
    summaries.task(1)
    summaries.close()


def test_an_export_answers_as_it_does(made):
    learner, family = made
    served = signatures(ServedLearner(learner, task_spec.of_family(family)))
    episode = task(family)
    given = [part[tf.newaxis] for part in episode[:3]]
    reply = served["serving_default"].function(*given)
    expected = tf.nn.softmax(
        learner.predict(learner.adapt(*episode[:2]), episode.query_inputs)
    ).numpy()
    np.testing.assert_allclose(reply["probabilities"][0], expected, atol=1e-5)
    state = served["adapt"].function(*given[:2])["state"]
    again = served["predict"].function(state, given[2])
    np.testing.assert_allclose(again["probabilities"][0], expected, atol=1e-5)
    by_gradients = isinstance(learner, MetaLearner)
    assert ("serving_default_steps" in served) == by_gradients
