"""Dropout, batch normalisation and odd models, as their users expect them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.errors import InputError
from trainers.stateless.pure_model import PureModel

INPUTS = np.random.default_rng(0).normal(2.0, 3.0, (8, 4)).astype(np.float32)
SEED = tf.constant([1, 2])


def values(pure):
    return [tf.convert_to_tensor(w.value) for w in pure.weights]


def call(pure, training, seed=SEED, inputs=INPUTS):
    return pure(values(pure), tf.constant(inputs), training=training, seed=seed)


def sequential(*layers):
    return PureModel(keras.Sequential([keras.Input((4,)), *layers]))


def test_dropout_masks_differ_by_seed_and_layer_and_repeat():
    pure = sequential(
        keras.layers.Dense(4, kernel_initializer="identity"), keras.layers.Dropout(0.5)
    )
    first = call(pure, training=True).outputs
    np.testing.assert_array_equal(first, call(pure, training=True).outputs)
    other = call(pure, training=True, seed=tf.constant([1, 3])).outputs
    assert not np.array_equal(first, other)
    dropped = np.mean(np.stack([first, other]) == 0)
    assert 0.2 < dropped < 0.8
    np.testing.assert_allclose(first, np.where(first == 0, 0, 2 * INPUTS), rtol=1e-6)


def test_two_dropout_layers_draw_different_masks():
    inputs = keras.Input((4,))
    ones = keras.layers.Dense(64, kernel_initializer="zeros", bias_initializer="ones")(inputs)
    masks = [keras.layers.Dropout(0.5)(ones), keras.layers.Dropout(0.5)(ones)]
    pure = PureModel(keras.Model(inputs, keras.layers.Concatenate()(masks)))
    first, second = np.split(call(pure, training=True).outputs, 2, axis=1)
    assert not np.array_equal(first, second)


def test_no_draw_of_a_layer_that_is_called_twice_is_one_of_another_layer():
    inputs = keras.Input((4,))
    ones = keras.layers.Dense(64, kernel_initializer="zeros", bias_initializer="ones")(inputs)
    shared, other = keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)
    masks = keras.layers.Concatenate()([shared(ones), shared(ones), other(ones)])
    pure = PureModel(keras.Model(inputs, masks))
    draws = np.split(call(pure, training=True).outputs, 3, axis=1)
    for one, another in ((0, 1), (0, 2), (1, 2)):
        # Within five standard deviations of a half, of 512 numbers.
        assert abs(np.mean(draws[one] == draws[another]) - 0.5) < 5 * 0.5 / np.sqrt(512)


def test_dropout_is_off_outside_training_and_no_variable_changes():
    pure = sequential(
        keras.layers.Dense(4, kernel_initializer="identity"),
        keras.layers.Dropout(0.5),
        keras.layers.BatchNormalization(scale=False, center=False),
    )
    before = [v.numpy() for v in pure.model.variables]
    call(pure, training=True)
    outputs = call(pure, training=False).outputs
    # Batch normalisation uses the batch's statistics here too.
    expected = (INPUTS - INPUTS.mean(0)) / np.sqrt(INPUTS.var(0) + 1e-3)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    for old, variable in zip(before, pure.model.variables, strict=True):
        np.testing.assert_array_equal(old, variable)


def test_state_is_what_batch_normalisation_would_have_kept():
    pure = sequential(
        keras.layers.Dense(4, kernel_initializer="identity"),
        keras.layers.BatchNormalization(momentum=0.75),
    )
    mean, variance = call(pure, training=True).state
    np.testing.assert_allclose(mean, 0.25 * INPUTS.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.75 + 0.25 * INPUTS.var(0), rtol=1e-5)


def test_frozen_batch_normalisation_keeps_its_averages():
    layer = keras.layers.BatchNormalization(epsilon=0.0)
    layer.trainable = False
    pure = sequential(keras.layers.Dense(4, kernel_initializer="identity"), layer)
    layer.moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    expected = INPUTS - [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(call(pure, training=True).outputs, expected, rtol=1e-5)


def test_the_layer_is_as_before_after_a_call():
    pure = sequential(keras.layers.Dense(4), keras.layers.BatchNormalization())
    call(pure, training=True)
    in_inference = pure.model(INPUTS, training=False)
    assert not np.allclose(in_inference, call(pure, training=False).outputs)
    assert tf.nn.moments.__module__.startswith("tensorflow")


def test_regularisers_and_added_losses_are_in_the_penalty():
    class Noisy(keras.layers.Layer):
        def call(self, x):
            self.add_loss(keras.ops.sum(x * 0.0) + 3.0)
            return x

    pure = sequential(
        keras.layers.Dense(2, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5)),
        Noisy(),
    )
    weights = [tf.fill((4, 2), 2.0)]
    penalty = pure(weights, tf.constant(INPUTS), training=False).penalty
    np.testing.assert_allclose(penalty, 0.5 * 8 * 4.0 + 3.0)


def test_a_subclassed_model_whose_call_takes_no_training():
    class Bare(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(4, kernel_initializer="identity")
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, x):
            return self.dropout(self.dense(x))

    model = Bare()
    with pytest.raises(InputError, match="has no weights yet"):
        PureModel(model)
    model(INPUTS)
    pure = PureModel(model)
    np.testing.assert_allclose(call(pure, training=False).outputs, INPUTS, rtol=1e-6)
    assert np.any(call(pure, training=True).outputs == 0)


def test_a_model_with_nothing_to_train_is_refused():
    with pytest.raises(InputError, match="no trainable weights"):
        sequential(keras.layers.ReLU())


class Counting(keras.layers.Layer):
    """Adds how many calls of training there have been."""

    def __init__(self, dtype):
        super().__init__(name="counting")
        self.kind = dtype

    def build(self, shape):
        self.count = self.add_weight(
            shape=(), initializer="zeros", dtype=self.kind, trainable=False, name="count"
        )

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1)
        return x + keras.ops.cast(self.count, x.dtype)


def test_a_count_of_floats_is_carried_and_one_of_integers_is_refused():
    pure = sequential(Counting("float32"), keras.layers.Dense(1))
    output = call(pure, training=True)
    (count,) = output.state
    assert float(count) == 1.0 and pure.kept == []
    pure = sequential(Counting("int32"), keras.layers.Dense(1))
    call(pure, training=False)  # Only reads it.
    with pytest.raises(InputError, match=r"assigns to .*/counting/count \(int32\) in its"):
        call(pure, training=True)


def test_freezing_one_of_two_layers_of_one_path_is_noticed():
    blocks = []
    for _ in range(2):
        start = keras.Input((4,))
        blocks.append(keras.Model(start, keras.layers.Dense(4, name="a")(start)))
    start = keras.Input((4,))
    pure = PureModel(keras.Model(start, blocks[1](blocks[0](start))))
    assert len(set(pure.names)) == 2 and len(pure.names) == 4
    call(pure, training=True)
    blocks[1].layers[-1].trainable = False
    with pytest.raises(InputError, match="a/bias was frozen after the learner was made"):
        call(pure, training=True)


@pytest.mark.parametrize(("first", "kind"), [(True, "frozen"), (False, "unfrozen")])
def test_freezing_batch_normalisation_without_weights_is_noticed(first, kind):
    norm = keras.layers.BatchNormalization(scale=False, center=False, name="norm")
    norm.trainable = first
    pure = sequential(keras.layers.Dense(4), norm)
    call(pure, training=True)
    norm.trainable = not first
    with pytest.raises(InputError, match=f"norm was {kind} after the learner was made"):
        call(pure, training=True)
