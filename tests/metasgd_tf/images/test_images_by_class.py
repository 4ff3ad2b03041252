"""ImagesByClass kept by class, and whether TensorFlow has a copy of them."""

import numpy as np
import pytest

from metasgd_tf.images.images_by_class import ALIGNMENT, ImagesByClass, as_tensor, empty
from trainers.errors import InputError


def numbered(shape):
    return (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)


def test_even_classes_lie_one_after_the_other():
    images = numbered([3, 4, 2, 5, 1])
    held = ImagesByClass.of_even_classes(images)
    assert held.counts == (4, 4, 4) and held.names == ("class 0", "class 1", "class 2")
    assert held.images.shape == (12, 2, 5, 1)
    np.testing.assert_array_equal(held.images[4 * 2 + 3], images[2, 3])


@pytest.mark.parametrize("shape", [[1, 1, 1, 1], [7, 3, 5, 3], [100, 20, 20, 1]])
def test_a_tensor_has_the_bytes_of_its_array_and_no_copy_of_them(shape):
    images = empty(shape)
    images[:] = numbered(shape)
    tensor = as_tensor(images)
    np.testing.assert_array_equal(tensor, numbered(shape))
    images[-1, -1, -1, -1] += 1
    assert tensor[-1, -1, -1, -1] == images[-1, -1, -1, -1]


def elsewhere(images):
    """The same images at an address that no tensor may have."""
    buffer = empty([images.size + 1])[1:]
    buffer[:] = images.ravel()
    return buffer.reshape(images.shape)


def read_only(images):
    images = images.copy()
    images.flags.writeable = False
    return images


@pytest.mark.parametrize(
    "other", [elsewhere, read_only, np.asfortranarray, lambda images: images[::2]]
)
def test_any_other_array_is_copied(other):
    images = other(numbered([6, 4, 4, 3]))
    tensor = as_tensor(images)
    np.testing.assert_array_equal(tensor, images)
    assert tensor.shape == images.shape


def test_what_is_empty_is_aligned():
    for _ in range(20):
        assert empty([3, 5]).ctypes.data % ALIGNMENT == 0


def test_a_tensor_outlives_the_name_of_its_array():
    tensor = as_tensor(empty([1000, 10, 10, 3]))
    before = tensor.numpy().copy()
    empty([1000, 10, 10, 3])[:] = 255
    np.testing.assert_array_equal(tensor, before)


@pytest.mark.parametrize("side", [10**8, 10**9])
def test_more_than_there_is_memory_for_is_one_sentence(side):
    size = f"{30 * side**2 / 1e9:,.0f}"
    with pytest.raises(InputError, match=f"^image_size={side}: 10 images need {size} GB of memory"):
        empty([10, side, side, 3])
