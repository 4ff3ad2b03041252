"""The check of a model's own meta-gradient: what it trusts, and which layer it names."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.stateless.layer_check import untrusted_layers
from trainers.stateless.tested_layers import untested_layers
from trainers.supervised.gradient_check import check_meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def episode():
    random = np.random.default_rng(0)
    inputs = tf.constant(random.standard_normal((12, 9, 9, 2)), tf.float32)
    targets = tf.constant([0, 1, 2] * 4)
    return Episode(inputs[:6], targets[:6], inputs[6:], targets[6:])


def learner(*layers):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            keras.layers.Conv2D(4, 3, activation="tanh"),
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    return MetaLearner(model, LOSS, alpha_init=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [
        (),
        (keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.MaxPooling2D()),
        (keras.layers.UpSampling2D(interpolation="bilinear"), keras.layers.Dropout(0.5)),
    ],
)
def test_right_meta_gradients_are_trusted(layers):
    check = check_meta_gradient(learner(*layers), episode())
    assert check.trusted and not check.layers and check.error < 0.01
    assert str(check).startswith("the meta-gradient agrees with central differences")


def resize(x):
    # The operation itself, whose second derivative TensorFlow takes for 0.
    return tf.raw_ops.ResizeBilinear(images=x, size=[5, 5])


@pytest.mark.parametrize(
    ("function", "problem", "end"),
    [
        (resize, "its second derivative is wrong", "% from central differences"),
        (
            tf.nn.local_response_normalization,
            "it has no second derivative",
            "): it cannot be computed",
        ),
    ],
)
def test_a_layer_without_right_second_derivatives_is_named(function, problem, end):
    check = check_meta_gradient(learner(keras.layers.Lambda(function, name="odd")), episode())
    assert not check.trusted
    assert list(check.layers) == ["odd (Lambda)"]
    assert f"not to be trusted (odd (Lambda): {problem}" in str(check)
    assert str(check).endswith(end)


@tf.custom_gradient
def as_if_doubled(x):
    return x, lambda slope: 2.0 * slope


def curve_learner(kind=MetaLearner, **options):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    return kind(model, "mse", alpha_init=0.1, **options)


CURVE = Episode(*(tf.constant(np.random.default_rng(n).normal(size=(6, 3 - n % 2 * 2)), tf.float32)
                  for n in range(4)))  # fmt: skip


@pytest.mark.parametrize("right", [True, False])
def test_what_the_outer_loop_minimises_is_what_is_checked(right):
    def outer_loss(targets, outputs):
        apart = tf.reduce_mean(tf.abs(targets - outputs) ** 1.5, axis=-1)
        return apart if right else as_if_doubled(apart)

    check = check_meta_gradient(curve_learner(outer_loss=outer_loss), CURVE)
    assert check.trusted == right
    assert check.error < 0.01 if right else check.error == pytest.approx(1.0, abs=0.05)


def test_maml_plus_plus_is_checked_with_second_derivatives_and_losses_of_all_steps():
    options = {"inner_steps": 2, "first_order_iterations": 3, "multi_step_iterations": 9}
    made = curve_learner(MamlPlusPlus, **options)
    asked = []
    made.objective = lambda *given: (
        asked.append(int(given[-1])) or type(made).objective(made, *given)
    )
    check = check_meta_gradient(made, CURVE)
    assert check.trusted and check.error < 0.01
    assert set(asked) == {3}


def test_a_model_that_draws_by_no_seed_is_not_checked():
    noise = keras.layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x)))
    with pytest.raises(InputError, match="^check_gradients: a task's loss is .* by no seed"):
        check_meta_gradient(learner(noise), episode())


def test_a_weight_of_no_use_is_refused_and_not_taken_for_a_wrong_gradient():
    unused = keras.layers.Lambda(lambda x: 0.0 * tf.stop_gradient(x))
    with pytest.raises(InputError, match="the loss does not depend on the weight"):
        check_meta_gradient(learner(unused), episode())


class Scale(keras.layers.Layer):
    """A layer of a user's own: right, or with a second derivative that is 0."""

    def __init__(self, right, **options):
        super().__init__(**options)
        self.right = right

    def call(self, x):
        return tf.sin(x) if self.right else resize(x)


class Held(Scale):
    """One that a wrapper can hold."""

    def compute_output_shape(self, shape):
        return shape


def trainer(*layers, **options):
    made = learner(*layers)
    made.differentiates_twice = not options.pop("first_order", False)

    def tasks(seed):
        drawn = episode()
        return drawn._replace(query_inputs=drawn.query_inputs + 0.1 * uniform(seed, [6, 9, 9, 2]))

    return MetaTrainer(made, tasks, jit_compile=False, meta_batch_size=1)


@pytest.mark.parametrize(
    ("layer", "level", "text"),
    [
        (Scale(True, name="own"), logging.INFO, "the meta-gradient agrees with"),
        (Scale(False, name="own"), logging.WARNING, "is not to be trusted (own (Scale): its"),
    ],
)
def test_a_layer_that_no_test_covers_is_checked_once_before_training(layer, level, text, caplog):
    caplog.set_level(logging.INFO, "trainers")
    made = trainer(layer)
    made.prepare()
    made.prepare()
    (record,) = caplog.records
    assert record.levelno == level
    message = record.getMessage()
    assert message.startswith(f"with own ({type(layer).__name__}), which no test covers, the meta-")
    assert text in message and "\n" not in message


class OnlyInGraphs(keras.layers.Layer):
    def call(self, x):
        if tf.executing_eagerly():
            raise RuntimeError("is for graphs")
        return tf.sin(x)


def test_a_check_that_cannot_be_made_does_not_keep_a_model_from_training(caplog):
    trainer(OnlyInGraphs(name="own")).train(1)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "with own (OnlyInGraphs), which no test covers, the meta-gradient could not be checked ("
    )


def test_tested_layers_and_first_order_learners_are_not_checked(caplog):
    caplog.set_level(logging.INFO, "trainers")
    trainer(keras.layers.UpSampling2D(interpolation="bilinear")).train(1)
    trainer(Scale(False), first_order=True).train(1)
    assert not caplog.records


def test_parts_of_a_model_that_no_test_covers_are_found_wherever_they_are():
    x = inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "relu"), Scale(True)])
    x = inner(x) + x
    x = keras.layers.Dense(4, activation=tf.sin)(x)
    x = keras.layers.Lambda(tf.sin)(x)
    x = keras.layers.TimeDistributed(Held(True))(x[:, None, :])
    found = untested_layers(keras.Model(inputs, x))
    kinds = sorted(name.split()[1] for name in found)
    assert kinds == ["(Add)", "(Dense)", "(GetItem)", "(Held)", "(Lambda)", "(Scale)"], found


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_model_with_a_call_of_its_own_is_not_covered():
    assert untested_layers(Subclassed()) == ["own (Subclassed)"]


def test_a_layer_that_is_shared_with_a_model_within_is_looked_at_once():
    shared = keras.layers.Dense(3, "tanh", name="shared")
    inner = keras.Sequential([keras.Input((3,)), shared])
    start = keras.Input((3,))
    model = keras.Model(start, shared(inner(start)))
    assert untrusted_layers(model, tf.ones([2, 3])) == {}
