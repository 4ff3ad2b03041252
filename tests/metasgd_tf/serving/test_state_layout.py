"""What a learner keeps of a task, as a row of numbers and back."""

import numpy as np
import tensorflow as tf

from metasgd_tf.serving.state_layout import StateLayout


def test_rows_of_examples_follow_what_is_of_a_known_size():
    specs = [
        tf.TensorSpec([None, 2], tf.float32),
        tf.TensorSpec([3], tf.float32),
        tf.TensorSpec([None], tf.int32),
    ]
    layout = StateLayout(specs)
    assert (layout.size, layout.size_per_example) == (3, 3)
    parts = [
        tf.constant([[1.0, 2.0], [3.0, 4.0]]),
        tf.constant([5.0, 6.0, 7.0]),
        tf.constant([8, 9]),
    ]
    packed = layout.packed(parts)
    np.testing.assert_array_equal(packed, [5, 6, 7, 1, 2, 8, 3, 4, 9])
    for part, again in zip(parts, layout.unpacked(packed), strict=True):
        assert part.dtype == again.dtype
        np.testing.assert_array_equal(part, again)


def test_a_state_of_known_size_is_its_tensors_one_after_the_other():
    parts = [tf.constant([[1.0, 2.0]]), tf.constant(3.0)]
    layout = StateLayout(parts)
    assert (layout.size, layout.size_per_example) == (3, 0)
    np.testing.assert_array_equal(layout.packed(parts), [1, 2, 3])
    np.testing.assert_array_equal(layout.unpacked(tf.constant([1.0, 2, 3]))[0], [[1, 2]])
