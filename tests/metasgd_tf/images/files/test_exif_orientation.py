"""Exif data, valid and damaged, read in Python and in a graph."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.images.files.exif_orientation import NAME, orientation, orientation_in_graph

in_graph = tf.function(orientation_in_graph, input_signature=[tf.TensorSpec([], tf.string)])
ORDERS = {"<": b"II*\0", ">": b"MM\0*"}
SHORT, LONG = 3, 4


def exif(order, *entries):
    """Exif data with one directory of entries: tag, type, count and value."""
    directory = b"".join(struct.pack(f"{order}HHIHH", *entry, 0) for entry in entries)
    start = ORDERS[order] + struct.pack(f"{order}IH", 8, len(entries))
    return start + directory + bytes(4)


def read(data):
    """Reads the orientation in both ways, which agree."""
    found = orientation(data)
    assert int(in_graph(data)) == found
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", [b"", NAME])
def test_a_valid_orientation_is_found(order, name):
    for value in range(1, 9):
        entries = (0x0100, LONG, 1, 7), (0x0112, SHORT, 1, value), (0x0131, 2, 4, 0)
        assert read(name + exif(order, *entries)) == value


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(0x0112, SHORT, 1, 0)],
        [(0x0112, SHORT, 1, 9)],
        [(0x0112, SHORT, 1, 65535)],
        [(0x0112, SHORT, 2, 6)],
        [(0x0112, LONG, 1, 6)],
        [(0x0113, SHORT, 1, 6)],
    ],
)
def test_without_a_valid_orientation_the_image_stays_as_it_is(order, entries):
    assert read(exif(order, *entries)) == 1


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_of_several_counts(order):
    assert read(exif(order, (0x0112, SHORT, 1, 3), (0x0112, SHORT, 1, 6))) == 3


@pytest.mark.parametrize(
    "data", [b"", NAME, b"nonsense", b"II*\0\xff\xff\xff\x7f", b"MM\0*\xff\xff\xff\xff" * 4]
)
def test_what_is_no_exif_data_says_nothing(data):
    assert read(data) == 1


def test_damaged_data_are_read_alike_in_both_ways():
    rng = np.random.default_rng(0)
    for number in range(600):
        order = "<>"[number % 2]
        data = bytearray(exif(order, (0x0100, LONG, 1, 7), (0x0112, SHORT, 1, 6)))
        for place in rng.integers(0, len(data), rng.integers(0, 4)):
            data[place] = rng.choice([0, 1, 3, 8, 12, 127, 255])
        length = rng.integers(len(data) + 1) if number % 3 == 0 else len(data)
        assert 1 <= read(bytes(data[:length])) <= 8
