"""Which weights are one layer's, what it is called, and that layers have rates of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.conv4 import conv4
from models.gaussian_policy import gaussian_mlp
from models.mlp import mlp
from models.resnet12 import resnet12
from trainers.learners.alpha import Alpha
from trainers.learners.meta_sgd import MetaLearner


def test_blocks_that_are_alike_have_rates_of_their_own():
    blocks = []
    for name in ("up", "down"):
        start = keras.Input((4,))
        blocks.append(keras.Model(start, keras.layers.Dense(4, name="a")(start), name=name))
    start = keras.Input((4,))
    model = keras.Model(start, blocks[1](blocks[0](start)))
    paths = [weight.path for weight in model.trainable_variables]
    assert paths == ["a/kernel", "a/bias"] * 2
    alpha = Alpha("per_layer", model.trainable_variables, 0.25)
    assert alpha.per_weight([0, 1]) == [0, 0, 1, 1]
    assert list(alpha.by_layer([tf.zeros(1)] * 4)) == ["a", "a_1"]


def test_layers_of_one_path_have_rates_of_their_own_where_one_alone_has_a_bias():
    blocks = []
    for bias in (False, True):
        start = keras.Input((4,))
        layer = keras.layers.Dense(4, use_bias=bias, name="a")
        blocks.append(keras.Model(start, layer(start)))
    start = keras.Input((4,))
    model = keras.Model(start, blocks[1](blocks[0](start)))
    paths = [weight.path for weight in model.trainable_variables]
    assert paths == ["a/kernel", "a/kernel", "a/bias"]
    alpha = MetaLearner(model, "mse", alpha="per_layer").alpha
    assert alpha.per_weight([0, 1]) == [0, 1, 1]
    assert [rate.path for rate in alpha.rates] == ["alpha/a", "alpha/a_1"]


def blocks_and_a_head():
    inputs = keras.Input((4,))
    made = inputs
    for name in ("up", "on", "down"):
        start = keras.Input((4,))
        layers = dense(4, "a")(dense(4, "b")(start))
        made = keras.Model(start, layers, name=name)(made)
    return keras.Model(inputs, dense(1, "c")(made))


@pytest.mark.parametrize("kind", ["per_weight", "per_layer"])
@pytest.mark.parametrize(
    "network",
    [
        lambda: conv4((28, 28, 1), 5, seed=0),
        lambda: mlp((1,), 1, seed=0),
        lambda: gaussian_mlp((2,), 4, seed=0),
        lambda: resnet12((32, 32, 3), 5, seed=0),
        lambda: nested(),
        lambda: subclassed(),
        blocks_and_a_head,
    ],
)
def test_the_model_changes_nothing_where_paths_tell_layers_apart(network, kind):
    """Neither the rates nor their order, so that checkpoints stay readable."""
    model = network()
    weights = model.trainable_variables
    by_path, by_owner = Alpha(kind, weights, 0.25), Alpha(kind, weights, 0.25, model=model)
    assert [rate.path for rate in by_owner.rates] == [rate.path for rate in by_path.rates]
    places = range(len(by_path.rates))
    assert by_owner.per_weight(places) == by_path.per_weight(places)
    zeros = [tf.zeros(1)] * len(weights)
    assert list(by_owner.by_layer(zeros)) == list(by_path.by_layer(zeros))


def dense(size, name):
    return keras.layers.Dense(size, name=name)


def functional():
    inputs = keras.Input((2,))
    return keras.Model(inputs, dense(1, "b")(dense(3, "a")(inputs)), name="functional")


def nested():
    """Two blocks whose layers have the same names."""
    inputs = keras.Input((2,))
    blocks = [keras.Sequential([dense(3, "a"), dense(2, "b")], name=name) for name in ("up", "on")]
    return keras.Model(inputs, blocks[1](blocks[0](inputs)), name="nested")


class Subclassed(keras.Model):
    """The same blocks in a model whose name begins all paths."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.up = keras.Sequential([dense(3, "a"), dense(2, "b")], name="up")
        self.on = keras.Sequential([dense(3, "a"), dense(2, "b")], name="on")

    def call(self, inputs):
        return self.on(self.up(inputs))


def subclassed():
    model = Subclassed()
    model(np.zeros([1, 2], np.float32))
    assert model.trainable_variables[0].path == "subclassed/up/a/kernel"
    return model


CONV4 = {"conv_1": 9 * 64} | {f"conv_{n}": 9 * 64 * 64 for n in (2, 3, 4)}


CONV4 |= {f"norm_{n}": 2 * 64 for n in (1, 2, 3, 4)}


BLOCK = {"a": 2 * 3 + 3, "b": 3 * 2 + 2}


BLOCKS = {f"{block}/{layer}": size for block in ("up", "on") for layer, size in BLOCK.items()}


SIZES = {
    "sequential": CONV4 | {"output": 64 * 5 + 5},
    "functional": {"a": 2 * 3 + 3, "b": 3 + 1},
    "nested": BLOCKS,
    "subclassed": BLOCKS,
    "one_layer": {"a": 2 + 1},
}


MODELS = {
    "sequential": lambda: conv4((8, 8, 1), 5, seed=0),
    "functional": functional,
    "nested": nested,
    "subclassed": subclassed,
    "one_layer": lambda: keras.Sequential([keras.Input((2,)), dense(1, "a")]),
}


@pytest.mark.parametrize("name", MODELS)
def test_layers_are_named_without_the_model_and_apart_where_blocks_repeat_names(name):
    alpha = Alpha("per_weight", MODELS[name]().trainable_variables, 0.25)
    found = alpha.by_layer(alpha.per_weight(alpha.rates))
    assert {layer: values.shape for layer, values in found.items()} == {
        layer: (size,) for layer, size in SIZES[name].items()
    }


def test_layers_come_in_the_order_of_the_weights():
    alpha = Alpha("per_weight", MODELS["sequential"]().trainable_variables, 0.25)
    assert list(alpha.by_layer(alpha.rates)) == [
        *[f"{kind}_{n}" for n in (1, 2, 3, 4) for kind in ("conv", "norm")],
        "output",
    ]


def test_layers_with_equal_names_in_two_blocks_have_rates_of_their_own():
    alpha = Alpha("per_layer", nested().trainable_variables, 0.25)
    assert [rate.name for rate in alpha.rates] == [
        f"alpha_{layer}:0" for layer in ("up_a", "up_b", "on_a", "on_b")
    ]
    assert alpha.per_weight(range(4)) == [0, 0, 1, 1, 2, 2, 3, 3]
