"""Numbers drawn for many seeds at once beside those that TensorFlow draws for each."""

import numpy as np
import pytest
import tensorflow as tf

from trainers.batching import batched_operations
from trainers.seeds import fold_in, split_seed, uniform

SEEDS = tf.constant([[1, 2], [-3, 4], [2**31 - 1, -(2**31)]], tf.int32)


def draw(seed):
    folded = fold_in(seed, -5)
    return folded, split_seed(folded, 3), uniform(seed, [2, 5]), uniform(folded, [])


@pytest.fixture(scope="module")
def batched():
    batched_operations.register()

    @tf.function(autograph=False)
    def drawn():
        return tf.vectorized_map(draw, SEEDS, fallback_to_while_loop=False)

    return drawn.get_concrete_function()


def test_each_seed_draws_what_it_draws_alone(batched):
    alone = [draw(seed) for seed in tf.unstack(SEEDS)]
    for number, values in enumerate(batched()):
        np.testing.assert_array_equal(values, [drawn[number] for drawn in alone])


def test_no_seed_has_an_operation_of_its_own(batched):
    outputs = [tensor.op.name for tensor in batched.outputs]
    graph = tf.compat.v1.graph_util.extract_sub_graph(batched.graph.as_graph_def(), outputs)
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    kinds = [node.op for body in bodies for node in body]
    assert "BitwiseXor" in kinds
    assert not [kind for kind in kinds if "Random" in kind]
