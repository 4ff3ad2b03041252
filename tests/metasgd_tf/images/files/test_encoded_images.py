"""ImagesByClass decoded in a graph, beside what training's own decoders make of the same files."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from metasgd_tf.images.files import file_chunks, image_files
from metasgd_tf.images.mini_imagenet import builder
from metasgd_tf.tasks.mini_imagenet import MiniImagenetTasks
from metasgd_tf.tasks.omniglot import Omniglot, shrink
from tests import synthetic_omniglot
from tests.decoded_in_graph import assert_equal_to_pillow, in_graph
from tests.serving_exports import folder_run


def pixels(height, width, channels, seed=0):
    """Colours that vary slowly, with noise on top."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
    noisy = np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)
    if channels == 4:
        alpha = rng.integers(0, 256, (height, width, 1), dtype=np.uint8)
        return np.concatenate([noisy, alpha], axis=-1)
    return noisy[..., 0] if channels == 1 else noisy


def encoded(array, kind, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def turned(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif.tobytes()


def palette(array, colours=16, **options):
    file = io.BytesIO()
    Image.fromarray(array).quantize(colours).save(file, "PNG", **options)
    return file.getvalue()


def inks(height, width, **options):
    image = Image.frombytes("CMYK", (width, height), pixels(height, width, 4).tobytes())
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def marked(data, transform):
    """Replaces a JPEG's first segment, and Adobe's, by Adobe's marker with this transform."""
    place = data.index(b"Adobe") - 4 if b"Adobe" in data else 2
    (length,) = struct.unpack(">H", data[place + 2 : place + 4])
    marker = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, transform or 0)
    rest = data[:place] + data[place + 2 + length :]
    return rest if transform is None else rest[:2] + marker + rest[2:]


SHAPES = [(20, 20), (8, 9), (47, 61), (100, 333), (300, 400)]
KINDS = {
    "png": lambda h, w: encoded(pixels(h, w, 3), "PNG"),
    "grey": lambda h, w: encoded(pixels(h, w, 1), "PNG"),
    "transparent": lambda h, w: encoded(pixels(h, w, 4), "PNG"),
    "16 bits": lambda h, w: encoded(pixels(h, w, 1).astype(np.uint16) * 255 + 7, "PNG"),
    "a bit": lambda h, w: encoded(pixels(h, w, 1) > 127, "PNG"),
    "2 bits": lambda h, w: palette(pixels(h, w, 3), 4),
    "palette": lambda h, w: palette(pixels(h, w, 3)),
    "transparent palette": lambda h, w: palette(pixels(h, w, 3), transparency=3),
    "8-bit palette": lambda h, w: palette(pixels(h, w, 3), 200, transparency=3),
    "jpeg": lambda h, w: encoded(pixels(h, w, 3), "JPEG", quality=90),
    "fine jpeg": lambda h, w: encoded(pixels(h, w, 3), "JPEG", quality=95, subsampling=0),
    "progressive": lambda h, w: encoded(pixels(h, w, 3), "JPEG", progressive=True),
    "grey jpeg": lambda h, w: encoded(pixels(h, w, 1), "JPEG"),
    "half": lambda h, w: encoded(pixels(h, w, 3), "JPEG", subsampling="4:2:2"),
    "rgb": lambda h, w: encoded(pixels(h, w, 3), "JPEG", keep_rgb=True),
    "adobe rgb": lambda h, w: marked(encoded(pixels(h, w, 3), "JPEG", keep_rgb=True), 0),
    "adobe": lambda h, w: marked(encoded(pixels(h, w, 3), "JPEG"), 1),
    "cmyk": lambda h, w: inks(h, w),
    "ycck": lambda h, w: marked(inks(h, w), 2),
    "inks that are not Adobe's": lambda h, w: marked(inks(h, w), None),
    "progressive inks": lambda h, w: inks(h, w, progressive=True),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_folders_images_are_those_of_training(kind, shape, channels):
    assert_equal_to_pillow(KINDS[kind](*shape), channels)


@pytest.mark.parametrize("shape", [(300, 30), (400, 300), (170, 90), (61, 47)], ids=str)
def test_tall_images_differ_by_one_at_most(shape):
    """Pillow 13 resizes the columns of some first, which rounds otherwise."""
    assert_equal_to_pillow(KINDS["png"](*shape), 3, tolerance=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_sideways_is_made_up_for(orientation):
    data = encoded(pixels(60, 80, 3), "JPEG", exif=turned(orientation))
    assert_equal_to_pillow(data, 3)
    corner = np.zeros([16, 24, 3], np.uint8)
    corner[:8, :8] = 255  # At the upper left of what the sensor saw.
    data = encoded(corner, "JPEG", exif=turned(orientation), quality=95)
    given = in_graph(data)[..., 0]
    # Exif 2.32: where the first row and the first column of what is stored belong.
    row, column = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[
        orientation
    ]
    assert given[1 if row == "t" else -2, 1 if column == "l" else -2] > 200
    assert (given > 128).mean() < 0.25


@pytest.mark.parametrize("kind", ["grey jpeg", "cmyk"])
def test_other_jpegs_are_turned_too(kind):
    data, plain = KINDS[kind](60, 80), in_graph(KINDS[kind](60, 80))
    exif = turned(3)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + data[2:]
    assert_equal_to_pillow(data, 3)
    np.testing.assert_array_equal(in_graph(data), plain[::-1, ::-1])


@pytest.mark.parametrize(
    "before", [b"\xff", b"\xff\xe2\xff\xff" + bytes(65533)], ids=["filler", "long"]
)
def test_exif_data_may_lie_behind_other_segments(before):
    data = encoded(pixels(60, 80, 3), "JPEG", exif=turned(6))
    place = data.index(b"Exif\0\0") - 4
    moved = data[:place] + 20 * before + data[place:]
    assert_equal_to_pillow(moved, 3)
    np.testing.assert_array_equal(in_graph(moved), in_graph(data))


def test_exif_data_that_is_cut_or_points_outside_does_no_harm():
    data = encoded(pixels(60, 80, 3), "JPEG", exif=turned(6))
    place = data.index(b"Exif\0\0") + 6
    plain = in_graph(encoded(pixels(60, 80, 3), "JPEG"))
    for change in (b"\xff" * 8, b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\0"):
        harmed = data[:place] + change + data[place + len(change) :]
        assert_equal_to_pillow(harmed, 3)
        np.testing.assert_array_equal(in_graph(harmed), plain)


def test_what_else_may_speak_of_turning_is_not_read():
    data = encoded(pixels(60, 80, 3), "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    assert_equal_to_pillow(data, 3)
    np.testing.assert_array_equal(in_graph(data), in_graph(encoded(pixels(60, 80, 3), "JPEG")))


def test_of_several_images_in_a_jpeg_the_first_is_turned_as_exif_says():
    first, second = (Image.fromarray(pixels(60, 80, 3, seed)) for seed in (0, 1))
    file = io.BytesIO()
    said = b'<x tiff:Orientation="6"/>'
    first.save(file, "MPO", save_all=True, append_images=[second], xmp=said)
    assert Image.open(file).format == "MPO"
    assert_equal_to_pillow(file.getvalue(), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_search_ends_after_far_more_chunks_than_any_file_has(kind):
    data = encoded(pixels(60, 80, 3), kind, exif=turned(6))
    if kind == "JPEG":
        place, further = 2, file_chunks.MOST_SEGMENTS * b"\xff"
    else:
        place, empty = data.index(b"eXIf") - 4, b"teXt"
        chunk = struct.pack(">I", 0) + empty + struct.pack(">I", zlib.crc32(empty))
        further = file_chunks.MOST_CHUNKS * chunk
    many = data[:place] + further + data[place:]
    np.testing.assert_array_equal(in_graph(many), in_graph(encoded(pixels(60, 80, 3), kind)))
    assert not np.array_equal(in_graph(data), in_graph(many))


def test_families_choose_size_and_channels():
    for channels in (1, 3):
        family = folder_run(channels).family
        data = KINDS["jpeg"](47, 61)
        expected = image_files.decode(io.BytesIO(data), 20, channels)
        given = tf.function(family.decode)(tf.constant(data)).numpy()
        np.testing.assert_array_equal(given, expected)


def test_omniglots_drawings_are_those_of_training():
    family = Omniglot({"test": np.zeros([5, 2, 28, 28, 1], np.uint8)}, 5, 1, 1)
    decode = tf.function(family.decode, input_signature=[tf.TensorSpec([], tf.string)])
    for label in (0, 963, 1622):
        for ink in synthetic_omniglot.drawings(label)[:3]:
            given = decode(encoded(~ink, "PNG")).numpy()
            np.testing.assert_array_equal(
                given, shrink(np.where(ink, 0, 255).astype(np.uint8)[..., np.newaxis])
            )


def test_ink_of_any_colour_is_seen():
    family = Omniglot({"test": np.zeros([5, 2, 28, 28, 1], np.uint8)}, 5, 1, 1)
    ink = synthetic_omniglot.drawings(3)[0]
    black = family.decode(encoded(~ink, "PNG")).numpy()
    # By ITU-R 601-2 red is as dark as grey of 76, and blue as grey of 29.
    for colour, darkness in (((255, 0, 0), 255 - 76), ((0, 0, 255), 255 - 29)):
        drawn = np.where(ink[..., np.newaxis], colour, 255).astype(np.uint8)
        given = family.decode(encoded(drawn, "PNG")).numpy()
        np.testing.assert_allclose(given, black * (darkness / 255), atol=1)


def test_a_drawing_on_no_paper_is_one_on_white():
    family = Omniglot({"test": np.zeros([5, 2, 28, 28, 1], np.uint8)}, 5, 1, 1)
    ink = synthetic_omniglot.drawings(3)[0]
    see_through = np.zeros([*ink.shape, 4], np.uint8)
    see_through[..., 3] = 255 * ink
    np.testing.assert_array_equal(
        family.decode(encoded(see_through, "PNG")), family.decode(encoded(~ink, "PNG"))
    )


@pytest.fixture(scope="module")
def photograph():
    """Mini-ImageNet's decoder in a graph."""
    family = MiniImagenetTasks({"test": np.zeros([5, 2, 84, 84, 3], np.uint8)}, 5, 1, 1)
    return tf.function(family.decode, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(84, 84), (120, 100), (60, 70)], ids=str)
@pytest.mark.parametrize("kind", ["png", "grey", "jpeg", "transparent", "cmyk", "turned"])
def test_mini_imagenets_photographs_are_those_of_training(photograph, kind, shape):
    if kind == "turned":
        data = encoded(pixels(*shape, 3), "JPEG", exif=turned(6))
    else:
        data = KINDS[kind](*shape)
    given = photograph(data).numpy()
    np.testing.assert_array_equal(given, builder.shrink(data))


def test_the_real_drawings_are_those_of_training(real_omniglot_dir):
    import tensorflow_datasets as tfds

    family = Omniglot({"test": np.zeros([5, 2, 28, 28, 1], np.uint8)}, 5, 1, 1)
    dataset = tfds.load("omniglot", split="test", data_dir=real_omniglot_dir).take(20)
    for example in dataset.as_numpy_iterator():
        data = tf.io.encode_png(example["image"]).numpy()
        np.testing.assert_array_equal(family.decode(data), shrink(example["image"]))


def test_served_images_are_the_inputs_of_training(served):
    """The same task as files and as numbers."""
    from tests.serving_exports import Loaded

    files = [KINDS["jpeg"](47, 61 + 3 * n) for n in range(6)]
    inputs = np.stack([image_files.decode(io.BytesIO(data), 20, 3) for data in files])
    inputs = (inputs.astype(np.float32) * np.float32(1 / 255))[np.newaxis]
    targets = np.array([[0, 1, 2]], np.int32)
    ask = served(Loaded, "folder")
    by_numbers = ask(
        "serving_default",
        support_inputs=inputs[:, :3],
        support_targets=targets,
        query_inputs=inputs[:, 3:],
    )
    by_files = ask(
        "classify_images",
        support_inputs=np.array([files[:3]], object),
        support_targets=targets,
        query_inputs=np.array([files[3:]], object),
    )
    np.testing.assert_allclose(
        by_files["probabilities"], by_numbers["probabilities"], rtol=0, atol=1e-6
    )
