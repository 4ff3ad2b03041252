"""A made-up Omniglot in the form in which TensorFlow Datasets keeps the real one.

It has as many characters as the real one, 964 of 30 alphabets in the split `train` and 659 of 20
in `test`, but 8 drawings of each in place of 20, since decoding takes longer than a small training.
A character is four strokes between five random corners, and its drawings shift the corners a
little. Images are PNGs of one bit a pixel, the files' own form.
"""

import pathlib
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

DRAWINGS = 8
SIDE = 105
SPLITS = {"train": range(964), "test": range(964, 1623)}
BACKGROUND_SIZES = (14, 55, 20, 46, *[32] * 19, *[32, 33] * 3, 26)
EVALUATION_SIZES = (20, 47, *[33] * 17, 31)
"""How many characters each alphabet has: those of the background set, and those of the other."""

ALPHABETS = np.repeat(np.arange(50), [*BACKGROUND_SIZES, *EVALUATION_SIZES])
"""The number of each character's alphabet."""


def write(data_dir: pathlib.Path) -> None:
    """Writes `omniglot/3.0.0` under `data_dir`."""
    builder = tfds.builder("omniglot", data_dir=str(data_dir))
    pathlib.Path(builder.data_dir).mkdir(parents=True)
    builder.info.features["alphabet"].names = [f"alphabet_{n:02d}" for n in range(50)]
    builder.info.features["label"].names = [
        f"alphabet_{alphabet:02d}_{number_in(label)}" for label, alphabet in enumerate(ALPHABETS)
    ]
    builder.info.set_splits(
        tfds.core.SplitDict([_write_split(builder, *item) for item in SPLITS.items()])
    )
    builder.info.write_to_directory(builder.data_path)


def drawings(label: int) -> np.ndarray:
    """Returns the drawings of a character, [8, 105, 105], True for ink."""
    rng = np.random.default_rng(label)
    corners = rng.uniform(18, 86, [1, 5, 2]) + rng.uniform(-4, 4, [DRAWINGS, 5, 2])
    along = np.linspace(0, 1, 100)[:, np.newaxis]
    strokes = [corners[:, [n]] * (1 - along) + corners[:, [n + 1]] * along for n in range(4)]
    row, column = np.moveaxis(np.rint(np.concatenate(strokes, axis=1)).astype(int), -1, 0)
    drawing = np.arange(DRAWINGS)[:, np.newaxis]
    ink = np.zeros([DRAWINGS, SIDE, SIDE], bool)
    for down in range(3):
        for right in range(3):
            ink[drawing, row + down, column + right] = True
    return ink


def number_in(label: int) -> int:
    """Returns the number of a character in its alphabet."""
    return label - int(np.argmax(ALPHABETS[label] == ALPHABETS))


def _write_split(
    builder: tfds.core.DatasetBuilder, name: str, labels: Sequence[int]
) -> tfds.core.SplitInfo:
    template = tfds.core.ShardedFileTemplate(
        data_dir=builder.data_path,
        dataset_name=builder.name,
        split=name,
        filetype_suffix="tfrecord",
    )
    size = 0
    path = template.sharded_filepath(shard_index=0, num_shards=1)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in labels:
            for ink in drawings(label):
                example = _example(_png(ink), label)
                size += len(example)
                writer.write(example)
    return tfds.core.SplitInfo(
        name=name,
        shard_lengths=[DRAWINGS * len(labels)],
        num_bytes=size,
        filename_template=template,
    )


def _example(png: bytes, label: int) -> bytes:
    features = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))}
    alphabet = int(ALPHABETS[label])
    numbers = {"label": label, "alphabet": alphabet, "alphabet_char_id": number_in(label)}
    for name, number in numbers.items():
        features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _png(ink: np.ndarray) -> bytes:
    """Returns a PNG with ink 0 on paper 255, one bit a pixel."""
    filter_none_before_each_row = ((0, 0), (1, 0))
    rows = np.pad(np.packbits(~ink, axis=1), filter_none_before_each_row)
    size = struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", size)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 1))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
