"""The memory cell and its network, against NumPy written out head by head and slot by slot."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.memory import EPSILON, INITIAL, MemoryCell, cosines
from models.memory_network import (
    OfEachStep,
    Shrink,
    areas,
    initial_states,
    memory_network,
    normalised_pixels,
)

SIZES = {"units": 3, "slots": 5, "width": 2, "heads": 2}
UNITS, SLOTS, WIDTH, HEADS = SIZES.values()
DECAY = 0.8
RANDOM = np.random.default_rng(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def made_cell():
    cell = MemoryCell(**SIZES, decay=DECAY)
    cell.build((None, 4 * UNITS))
    for weight in cell.trainable_variables:
        weight.assign(RANDOM.normal(size=weight.shape))
    return cell


def step_in_numpy(cell, given, states):
    """Returns one task's states after a step, each in its own shape."""
    hidden, carry, reads, read_weights, usage, memory = states
    recurrence, bias, interface, offset = [v.numpy() for v in cell.trainable_variables]
    gates = given + np.concatenate([hidden, reads.ravel()]) @ recurrence + bias
    enter, keep, new, show = np.split(gates, 4)
    carry = sigmoid(keep) * carry + sigmoid(enter) * np.tanh(new)
    hidden = sigmoid(show) * np.tanh(carry)
    parameters = hidden @ interface + offset
    keys = np.tanh(parameters[: HEADS * WIDTH]).reshape(HEADS, WIDTH)
    least = np.argsort(usage, kind="stable")[:HEADS]
    memory, write_weights = memory.copy(), np.zeros((HEADS, SLOTS))
    memory[least[0]] = 0
    for head in range(HEADS):
        gate = sigmoid(parameters[HEADS * WIDTH + head])
        for slot in range(SLOTS):
            write_weights[head, slot] = gate * read_weights[head, slot]
            write_weights[head, slot] += (1 - gate) * (slot in least)
            memory[slot] += write_weights[head, slot] * keys[head]
    new_weights = np.zeros((HEADS, SLOTS))
    for head in range(HEADS):
        for slot in range(SLOTS):
            lengths = np.sqrt(
                (keys[head] @ keys[head] + EPSILON) * (memory[slot] @ memory[slot] + EPSILON)
            )
            new_weights[head, slot] = np.exp(keys[head] @ memory[slot] / lengths)
        new_weights[head] /= new_weights[head].sum()
    usage = DECAY * usage + new_weights.sum(0) + write_weights.sum(0)
    return hidden, carry, new_weights @ memory, new_weights, usage, memory


def test_three_steps_read_write_and_count_usage_as_in_numpy():
    cell = made_cell()
    inputs = RANDOM.normal(size=(3, 2, 4 * UNITS)).astype(np.float32)
    states = cell.get_initial_state(2)
    shapes = [(UNITS,), (UNITS,), (HEADS, WIDTH), (HEADS, SLOTS), (SLOTS,), (SLOTS, WIDTH)]
    expected = [[np.zeros(shape) for shape in shapes] for _ in range(2)]
    for of_task in expected:
        of_task[-1] += INITIAL
    orders = set()
    for given in inputs:
        outputs, states = cell(given, states)
        for task in range(2):
            expected[task] = step_in_numpy(cell, given[task], expected[task])
            for found, value in zip(states, expected[task], strict=True):
                np.testing.assert_allclose(found[task], value.ravel(), rtol=1e-4, atol=1e-5)
            together = np.concatenate([expected[task][0], expected[task][2].ravel()])
            np.testing.assert_allclose(outputs[task], together, rtol=1e-4, atol=1e-5)
            orders.add(tuple(np.argsort(expected[task][4])))
    assert len(orders) > 1  # Different slots were the least used.


def test_the_least_used_slots_are_written_to_and_the_first_is_emptied_before():
    cell = made_cell()
    for weight in cell.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    bias = cell.interface.bias
    bias.assign([1.0, 2.0, 3.0, 4.0, -50.0, -50.0])  # Keys, and gates that are shut.
    *others, usage, _ = cell.get_initial_state(1)
    usage = tf.constant([[0.5, 0.1, 0.9, 0.3, 0.7]])
    _, (*_, memory) = cell(tf.zeros([1, 4 * UNITS]), [*others, usage, tf.ones([1, 10])])
    written = np.tanh([1.0, 2.0]) + np.tanh([3.0, 4.0])
    expected = np.ones((5, 2))
    expected[1] = written
    expected[3] += written
    np.testing.assert_allclose(tf.reshape(memory, (5, 2)), expected, rtol=1e-5)


def test_an_open_gate_writes_where_was_read_last():
    cell = made_cell()
    for weight in cell.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    cell.interface.bias.assign([1.0, 1.0, 0.0, 0.0, 50.0, 50.0])
    hidden, carry, reads, _, usage, _ = cell.get_initial_state(1)
    read_weights = tf.constant([[0.0, 0.0, 0.25, 0.0, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0]])
    states = [hidden, carry, reads, read_weights, usage, tf.zeros([1, 10])]
    _, (*_, memory) = cell(tf.zeros([1, 4 * UNITS]), states)
    expected = np.outer([0.0, 0.0, 0.25, 0.0, 0.75], np.tanh([1.0, 1.0]))
    np.testing.assert_allclose(tf.reshape(memory, (5, 2)), expected, rtol=1e-5, atol=1e-7)


def test_an_empty_slot_is_like_no_key():
    keys = tf.constant([[[3.0, 4.0]]])
    memory = tf.constant([[[6.0, 8.0], [-3.0, -4.0], [INITIAL, INITIAL], [0.0, 0.0]]])
    found = cosines(keys, memory)[0, 0]
    np.testing.assert_allclose(found, [1, -1, 0, 0], atol=2e-3)


def test_gradients_reach_every_weight_and_are_finite():
    model = memory_network((4,), 2, 0, **SIZES)
    inputs = {
        "inputs": tf.random.stateless_normal([2, 6, 4], [1, 2]),
        "previous": tf.random.stateless_normal([2, 6, 2], [3, 4]),
        "states": initial_states(model, 2),
    }
    with tf.GradientTape() as tape:
        outputs, _ = model(inputs)
        loss = tf.reduce_sum(outputs**2)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_a_sequence_is_its_steps_one_after_the_other():
    model = memory_network((4,), 2, 0, **SIZES)
    inputs, previous = (tf.random.stateless_normal([3, 5, n], [n, 1]) for n in (4, 2))
    states = initial_states(model, 3)
    outputs, last = model({"inputs": inputs, "previous": previous, "states": states})
    for step in range(5):
        part = slice(step, step + 1)
        given = {"inputs": inputs[:, part], "previous": previous[:, part], "states": states}
        one, states = model(given)
        np.testing.assert_allclose(one[:, 0], outputs[:, step], atol=1e-6)
    for a, b in zip(states, last, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_embedding_is_of_each_step_and_comes_in_place_of_its_pixels():
    embedding = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, 3), keras.layers.Flatten()]
    )
    whole = memory_network((6, 6, 1), 2, 0, embedding, **SIZES)
    on_features = memory_network((8,), 2, 1, **SIZES)
    on_features.set_weights(whole.get_weights()[len(embedding.weights) :])
    images = tf.random.stateless_normal([3, 5, 6, 6, 1], [1, 2])
    features = tf.stack([embedding(images[:, step]) for step in range(5)], axis=1)
    given = {"previous": tf.ones([3, 5, 2]), "states": initial_states(whole, 3)}
    found = whole({"inputs": images, **given})
    expected = on_features({"inputs": features, **given})
    for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert not np.allclose(found[0][:, 0], found[0][:, 1], atol=1e-3)


def test_the_network_has_the_sizes_of_the_paper():
    model = memory_network((28, 28, 1), 5, 0)
    shapes = {weight.path: tuple(weight.shape) for weight in model.variables}
    assert shapes == {
        "input/kernel": (20 * 20 + 5, 800),
        "memory/cell/recurrence/kernel": (200 + 4 * 40, 800),
        "memory/cell/recurrence/bias": (800,),
        "memory/cell/interface/kernel": (200, 4 * 41),
        "memory/cell/interface/bias": (4 * 41,),
        "output/kernel": (200 + 4 * 40, 5),
        "output/bias": (5,),
    }
    sizes = [state.shape[1] for state in initial_states(model, 1)]
    assert sizes == [200, 200, 160, 4 * 128, 128, 128 * 40]


@pytest.mark.parametrize(("size", "side"), [(6, 3), (7, 3), (28, 20), (5, 5)])
def test_images_are_shrunk_by_means_over_areas(size, side):
    images = RANDOM.random((2, size, size + 1, 1)).astype(np.float32)
    found = Shrink(side)(images)
    assert found.shape == (2, side, side, 1)
    np.testing.assert_allclose(areas(size, side).sum(1), 1)
    if (size, side) == (6, 3):
        first = np.concatenate([images[:, :2, :2], images[:, :2, 2:3] / 3], axis=2)
        expected = first.sum((1, 2)) / (2 * 7 / 3)
        np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-5)
    # The mean stays where every pixel is shared out.
    np.testing.assert_allclose(tf.reduce_mean(found, (1, 2)), images.mean((1, 2)), rtol=1e-5)


def test_weights_follow_the_seed():
    one, same, other = (
        [weight.numpy() for weight in memory_network((4,), 2, seed, **SIZES).variables]
        for seed in (1, 1, 2)
    )
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [number for number, weight in enumerate(one) if weight.ndim == 2]
    assert all(not np.array_equal(one[number], other[number]) for number in kernels)


def test_the_lstm_remembers_at_first():
    bias = MemoryCell(**SIZES)
    bias.build((None, 4 * UNITS))
    np.testing.assert_array_equal(bias.recurrence.bias, [0] * 3 + [1] * 3 + [0] * 6)


@pytest.mark.parametrize(
    "layer",
    [MemoryCell(**SIZES, decay=0.7, seed=3), Shrink(4), OfEachStep(keras.layers.Dense(3))],
)
def test_layers_are_made_again_from_their_configs(layer):
    known = {"MemoryCell": MemoryCell, "Shrink": Shrink, "OfEachStep": OfEachStep}
    again = keras.layers.deserialize(keras.layers.serialize(layer), known)
    assert again.get_config() == layer.get_config()


def test_nothing_is_an_einsum_whose_kernel_may_write_past_its_memory():
    model = memory_network((28, 28, 1), 5, seed=0)

    @tf.function(autograph=False)
    def shown(inputs, previous):
        return model({"inputs": inputs, "previous": previous, "states": initial_states(model, 1)})

    traced = shown.get_concrete_function(tf.zeros((1, 3, 28, 28, 1)), tf.zeros((1, 3, 5)))
    definition = traced.graph.as_graph_def()
    kinds = {node.op for part in definition.library.function for node in part.node_def}
    kinds |= {node.op for node in definition.node}
    assert "BatchMatMulV2" in kinds
    assert "Einsum" not in kinds


def test_normalised_pixels_are_those_of_shrunk_images_with_mean_0_and_variance_1():
    images = (0.5 + 0.1 * RANDOM.normal(size=[2, 30, 44, 3])).astype(np.float32)
    model = normalised_pixels((30, 44, 3), 5, seed=1)
    assert model(images).shape == (2, 5)
    *_, last = model.layers
    assert len(last.trainable_variables) == len(model.trainable_variables) == 2
    features = keras.Model(model.inputs, last.input)(images).numpy()
    shrunk = np.einsum("nhwc,kh,lw->nklc", images, areas(30, 20), areas(44, 20)).reshape(2, -1)
    centred = shrunk - shrunk.mean(1, keepdims=True)
    expected = centred / np.sqrt(centred.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(features, expected, atol=1e-4)
