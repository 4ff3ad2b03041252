"""A last layer that starts alike for every class, by numbers worked out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.anil import last_layer
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.meta_sgd import MetaLearner
from trainers.learners.tied_head import alike
from trainers.supervised.gradient_check import check_meta_gradient
from trainers.supervised.meta_gradient import meta_gradient

WAYS, TRAIN_WAYS, SHOTS = 3, 5, 2
SEED = tf.constant([1, 2])


def loss(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def model():
    seeds = keras.random.SeedGenerator(0)
    hidden, output = (
        keras.layers.Dense(
            units, act, kernel_initializer=keras.initializers.GlorotUniform(seeds), name=name
        )
        for units, act, name in ((4, "tanh", "hidden"), (WAYS, None, "output"))
    )
    return keras.Sequential([keras.Input((2,)), hidden, output])


def learner(**options):
    made = MetaLearner(model(), loss, tied_head=True, alpha_init=0.1, **options)
    random = np.random.default_rng(1)
    for rate in made.alpha.rates:
        rate.assign(random.uniform(-0.5, 1.0, rate.shape))
    return made


def task(ways):
    random = np.random.default_rng(2)
    targets = tf.repeat(tf.range(ways), SHOTS)
    support, query = (tf.constant(random.normal(size=[ways * SHOTS, 2]), tf.float32) for _ in "sq")
    return Episode(support, targets, query, targets)


def one_step(values, rates, episode, ways):
    """Returns θ' of the last layer, its kernel and bias, after one step from θ̄."""
    inputs, targets = episode.support_inputs.numpy(), episode.support_targets.numpy()
    hidden = np.tanh(inputs @ values[0] + values[1])
    kernel, bias, kernel_rate, bias_rate = (
        np.repeat(value.mean(-1, keepdims=True), ways, -1) for value in (*values[2:], *rates[2:])
    )
    wrong = 1 / ways - np.eye(ways)[targets]  # Where all classes are alike, so are logits.
    return (
        kernel - kernel_rate * (hidden.T @ wrong) / len(inputs),
        bias - bias_rate * wrong.mean(0),
    )


@pytest.mark.parametrize(("ways", "training"), [(WAYS, False), (TRAIN_WAYS, True)])
def test_one_step_is_the_one_of_the_formula(ways, training):
    made, episode = learner(train_ways=TRAIN_WAYS), task(ways)
    values = [value.numpy() for value in made.meta_variables]
    state = made.adapt(episode.support_inputs, episode.support_targets, training=training)
    kernel, bias = one_step(values[:4], values[4:], episode, ways)
    np.testing.assert_allclose(state[2], kernel, atol=1e-6)
    np.testing.assert_allclose(state[3], bias, atol=1e-6)
    # What is before the last layer stays where it was.
    for found, weight in zip(state[:2], values[:2], strict=True):
        np.testing.assert_allclose(found, weight, atol=1e-7)
    logits = made.predict(state, episode.query_inputs)
    hidden = np.tanh(episode.query_inputs @ values[0] + values[1])
    np.testing.assert_allclose(logits, hidden @ kernel + bias, atol=1e-6)


def test_adapting_the_last_layer_alone_is_the_same_learner_for_one_step():
    made, episode = learner(), task(WAYS)
    alone = learner(adapted=last_layer(made.model))
    for rate, of_all in zip(alone.alpha.rates, made.alpha.rates[2:], strict=True):
        rate.assign(of_all)
    support = episode.support_inputs, episode.support_targets
    for one, other in zip(made.adapt(*support), alone.adapt(*support), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    values = [[tf.convert_to_tensor(v) for v in each.meta_variables] for each in (made, alone)]
    (whole, scores, _), (part, others, _) = (
        meta_gradient(each, given, episode, SEED)
        for each, given in zip((made, alone), values, strict=True)
    )
    assert float(scores["loss"]) == pytest.approx(float(others["loss"]), rel=1e-6)
    of_both = [*whole[:4], *whole[6:]]
    for one, other in zip(of_both, part, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_order_of_the_classes_does_not_matter(steps):
    made, episode = learner(inner_steps=3), task(WAYS)
    order = tf.constant([2, 0, 1])
    answers = [
        made.predict(made.adapt(episode.support_inputs, targets, steps=steps), episode.query_inputs)
        for targets in (episode.support_targets, tf.gather(order, episode.support_targets))
    ]
    np.testing.assert_allclose(answers[0], tf.gather(answers[1], order, axis=1), atol=1e-6)
    assert (np.ptp(answers[0], axis=1).max() > 0.01) == (steps > 0)


def test_further_steps_go_on_from_where_the_last_one_ended():
    made, episode = learner(inner_steps=2), task(WAYS)
    support = episode.support_inputs, episode.support_targets
    _, first, second = made.adapt_stepwise(*support, 2)
    for one, other in zip(second, made.adapt(*support), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.ptp(first[2], axis=1).max() > 0.01
    assert np.abs(second[0] - first[0]).max() > 1e-4  # The hidden layer moves from now on.


def test_a_step_from_given_weights_does_not_tie_them_again():
    last = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
    made = MetaLearner(
        keras.Sequential([keras.Input((1,)), last]), loss, tied_head=True, alpha_init=1.0
    )
    support = tf.ones([1, 1]), tf.zeros([1], tf.int32)
    first = made.adapt(*support)
    # From logits (0, 0), p − y is (½ − 1, ½); from (½, −½) it is (σ(1) − 1, 1 − σ(1)).
    np.testing.assert_allclose(first[0], [[0.5, -0.5]], atol=1e-6)
    second = made.adapt(*support, steps=1, theta=first)
    moved = 0.5 + 1 - 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(second[0], [[moved, -moved]], atol=1e-6)
    np.testing.assert_array_equal(made.adapt(*support, steps=0, theta=first)[0], first[0])


@pytest.mark.parametrize("alpha", ["per_weight", "per_layer"])
def test_the_meta_gradient_is_that_of_differences(alpha):
    checked = check_meta_gradient(learner(alpha=alpha, inner_steps=2), task(WAYS))
    assert checked.trusted and checked.error < 0.02


def plus_plus(**options):
    return MamlPlusPlus(
        model(), loss, alpha_init=0.4, body_alpha_init=0.2, inner_steps=3, tied_head=True, **options
    )


@pytest.mark.parametrize(("ways", "training"), [(WAYS, False), (TRAIN_WAYS, True)])
def test_maml_plus_plus_with_equal_rates_of_all_steps_is_maml(ways, training):
    maml = learner(alpha="per_layer", inner_steps=3, train_ways=TRAIN_WAYS)
    for rate, value in zip(maml.alpha.rates, (0.2, 0.4), strict=True):
        rate.assign(value)
    support = task(ways)[:2]
    one, other = (
        made.adapt(*support, training=training) for made in (plus_plus(train_ways=TRAIN_WAYS), maml)
    )
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert one[2].shape == (4, ways) and np.ptp(one[2], axis=1).max() > 0.01


@pytest.mark.parametrize(
    "make", [lambda **options: learner(inner_steps=1, **options), plus_plus], ids=["one", "three"]
)
def test_the_meta_gradient_with_more_ways_in_training_is_that_of_differences(make):
    made, episode = make(train_ways=TRAIN_WAYS), task(TRAIN_WAYS)
    values = [tf.convert_to_tensor(value) for value in made.meta_variables]
    gradient, _, _ = meta_gradient(made, values, episode, SEED)
    for number, part in enumerate(gradient):
        along = np.random.default_rng(number).normal(size=part.shape)
        up, down = (
            made.objective(
                [*values[:number], values[number] + step * along, *values[number + 1 :]],
                episode,
                SEED,
                0,
            )[0]
            for step in (0.01, -0.01)
        )
        slope = np.sum(part.numpy() * along)
        assert float(up - down) / 0.02 == pytest.approx(slope, rel=0.02, abs=1e-4)


def test_what_only_fits_the_tests_ways_is_refused_or_left_to_training():
    made, episode = learner(train_ways=TRAIN_WAYS), task(TRAIN_WAYS)
    with pytest.raises(
        InputError, match="check_gradients: .*; leave check_gradients or train_ways"
    ):
        check_meta_gradient(made, episode)
    assert made.diagnose(episode) is None
    made.theta[0].assign(np.full([2, 4], np.nan))
    assert made.diagnose(episode).startswith("the support loss is nan before adaptation")


def test_the_classes_of_a_layer_are_updated_alike():
    made = learner(train_ways=TRAIN_WAYS)
    values = [tf.convert_to_tensor(value) for value in made.meta_variables]
    gradient, _, _ = meta_gradient(made, values, task(TRAIN_WAYS), SEED)
    for part in (*gradient[2:4], *gradient[6:]):
        np.testing.assert_allclose(part, alike(part, WAYS), atol=1e-8)
    assert np.abs(gradient[6]).max() > 1e-3


def test_a_rate_that_all_share_stays_one():
    assert alike(tf.constant(0.5), 7).shape == ()
    np.testing.assert_allclose(alike(tf.constant([[1.0, 3.0]]), 3), [[2, 2, 2]])


@pytest.mark.parametrize("of", [MetaLearner, MamlPlusPlus])
def test_more_ways_in_training_without_tying_are_refused(of):
    with pytest.raises(InputError, match="train_ways=4: the last layer has weights for each class"):
        of(model(), loss, train_ways=4)


@pytest.mark.parametrize("ways", [None, 16])
def test_a_last_layer_that_is_not_by_class_is_refused(ways):
    layers = [keras.layers.Conv2D(4, 2, name="last"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((3, 3, 1)), *layers])
    with pytest.raises(InputError, match=r"tied_head: .*last/kernel of model=.* in the 16 c"):
        MetaLearner(model, loss, tied_head=True, ways=ways)


@pytest.mark.parametrize("after", [keras.layers.PReLU, keras.layers.LayerNormalization])
def test_a_layer_with_weights_after_the_classifier_is_refused(after):
    layers = [keras.layers.Dense(32), keras.layers.Dense(5), after(name="after")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    with pytest.raises(
        InputError, match=r"^tied_head: .*after/.* has shape \(5,\).* kernel \[.*classes\]$"
    ):
        MetaLearner(model, loss, tied_head=True)


class Own(keras.Model):
    """A model with a `call` of its own, which does not know the shape of its outputs."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, "tanh", kernel_initializer="ones")
        self.out = keras.layers.Dense(WAYS, kernel_initializer="ones")

    def call(self, inputs):
        return self.out(self.hidden(inputs))


@pytest.mark.parametrize("of", [MetaLearner, MamlPlusPlus])
def test_a_model_with_a_call_of_its_own_can_be_tied(of):
    own = Own()
    own(tf.zeros([1, 2]))
    made = of(own, loss, tied_head=True, train_ways=TRAIN_WAYS, alpha_init=0.1)
    assert made.train_classes == TRAIN_WAYS
    episode = task(WAYS)
    weights = made.adapt(episode.support_inputs, episode.support_targets)
    assert made.predict(weights, episode.query_inputs).shape == (WAYS * SHOTS, WAYS)
