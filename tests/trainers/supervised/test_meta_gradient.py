"""∂L/∂θ and ∂L/∂α of whole networks against central differences in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.supervised.meta_gradient import mean_meta_gradient, meta_gradient

SEED = tf.constant([3, 4])
STEP = 1e-6


def mlp():
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
            keras.layers.Dense(3),
        ]
    )


def conv_net():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(2, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("tanh"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


@pytest.fixture(autouse=True)
def float64():
    # The policy too: Keras fixes it when the first layer is made.
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(5)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def learner_and_episode(build, alpha, steps, batch_norm="transductive"):
    model = build()
    learner = MetaLearner(
        model,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        alpha=alpha,
        alpha_init=0.3,
        inner_steps=steps,
        batch_norm=batch_norm,
    )
    random = np.random.default_rng(6)
    inputs = tf.constant(random.normal(size=(2, 6, *model.input_shape[1:])))
    targets = tf.constant(random.integers(0, 3, (2, 6)))
    return learner, Episode(inputs[0], targets[0], inputs[1], targets[1])


def assert_equals_central_differences(learner, episode):
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    gradient, _, _ = meta_gradient(learner, values, episode, SEED)
    learned = len(learner.theta) + len(learner.alpha.learned)
    assert len(gradient) == learned

    @tf.function
    def loss(values):
        return learner.objective(values, episode, SEED, 0)[1]["loss"]

    point = [tensor.numpy() for tensor in values]
    random = np.random.default_rng(7)
    for which in range(learned):
        # One random direction tests all entries of a weight at once.
        direction = random.normal(size=point[which].shape)
        shifted = [
            [p + sign * STEP * direction if i == which else p for i, p in enumerate(point)]
            for sign in (1, -1)
        ]
        up, down = (loss(moved).numpy() for moved in shifted)
        expected = (up - down) / (2 * STEP)
        found = np.sum(gradient[which].numpy() * direction)
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("alpha", ["per_weight", "per_layer", "scalar", "fixed"])
@pytest.mark.parametrize("build", [mlp, conv_net])
def test_meta_gradient_equals_central_differences(build, alpha, steps):
    assert_equals_central_differences(*learner_and_episode(build, alpha, steps))


def test_so_it_does_through_the_support_sets_statistics():
    """The convolution's bias counts there, as the query set's mean is not what is taken away."""
    learner, episode = learner_and_episode(conv_net, "per_weight", 2, batch_norm="support")
    assert_equals_central_differences(learner, episode)


def test_first_order_leaves_second_derivatives_out_of_theta_only():
    learner, episode = learner_and_episode(mlp, "per_weight", 1)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    second, _, _ = meta_gradient(learner, values, episode, SEED)
    learner.first_order = True
    first, _, _ = meta_gradient(learner, values, episode, SEED)
    fast = learner.adapt(episode.support_inputs, episode.support_targets)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        loss = learner.score(fast, episode.query_inputs, episode.query_targets)[0]["loss"]
    at_fast_weights = tape.gradient(loss, fast)
    for found, expected in zip(first[:4], at_fast_weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert not np.allclose(first[0], second[0])
    for of_first, of_second in zip(first[4:], second[4:], strict=True):
        np.testing.assert_allclose(of_first, of_second, rtol=1e-10)


def test_of_several_tasks_it_is_the_mean():
    learner, episode = learner_and_episode(mlp, "per_weight", 1)
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    tasks = [episode, episode._replace(query_inputs=2 * episode.query_inputs)]
    together = tf.nest.map_structure(lambda *parts: tf.stack(parts), *tasks)
    seeds = tf.stack([SEED, SEED + 1])
    mean = mean_meta_gradient(learner, values, together, seeds, tf.constant(0))
    one, other = (meta_gradient(learner, values, task, SEED) for task in tasks)
    tf.nest.map_structure(
        lambda m, a, b: np.testing.assert_allclose(m, (a + b) / 2, rtol=1e-10), mean, one, other
    )


def test_a_variable_of_no_use_is_named_where_inner_steps_leave_it_alone():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    layers = [keras.layers.Dense(1, name=name) for name in ("used", "idle")]
    outputs = [layer(inputs) for layer in layers]
    learner = MetaLearner(keras.Model(inputs, outputs), first_output, adapted=[0, 1])
    x, y = tf.ones([3, 2]), tf.ones([3, 1])
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    with pytest.raises(InputError, match="does not depend on the weight idle/kernel"):
        meta_gradient(learner, values, Episode(x, y, x, y), SEED)


def first_output(targets, outputs):
    return keras.losses.mean_squared_error(targets, outputs[0])
