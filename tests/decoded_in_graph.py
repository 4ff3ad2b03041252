"""Image files decoded in a TensorFlow graph as an export does, beside training's decoder."""

import functools
import io

import numpy as np
import tensorflow as tf

from metasgd_tf.images.files import image_files
from metasgd_tf.images.files.encoded_images import decode
from metasgd_tf.images.square_images import square

SIZE = 20


@functools.cache
def _compiled(channels):
    return tf.function(
        lambda data: square(decode(data, 2 * SIZE), SIZE, channels),
        input_signature=[tf.TensorSpec([], tf.string)],
    )


def in_graph(data: bytes, channels: int = 3) -> np.ndarray:
    """Decodes a file as `image_files.decode` does to 20 × 20 pixels, by a graph traced once."""
    return _compiled(channels)(data).numpy()


def assert_equal_to_pillow(data: bytes, channels: int, tolerance: int = 0) -> None:
    """Checks that training and an export make the same of a file."""
    expected = image_files.decode(io.BytesIO(data), SIZE, channels)
    given = in_graph(data, channels)
    assert given.shape == expected.shape and given.dtype == np.uint8
    np.testing.assert_allclose(given.astype(int), expected, rtol=0, atol=tolerance)
