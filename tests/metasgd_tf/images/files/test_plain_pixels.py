"""Every kind of PNG: what training and an export make of it, beside what its specification says."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms, PngImagePlugin

from metasgd_tf.images.files import image_files
from tests.decoded_in_graph import SIZE, assert_equal_to_pillow, in_graph
from tests.png_files import CHANNELS, COLOUR, DEPTHS, GREY, PALETTE, chunk, png

KINDS = [(colour_type, depth) for colour_type, depths in DEPTHS.items() for depth in depths]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def samples(colour_type, depth):
    """Random samples in which a colour is frequent, and those that all but equal it too."""
    rng = np.random.default_rng(depth)
    made = rng.integers(0, 2**depth, [SIZE, SIZE, CHANNELS[colour_type]])
    made[:12, :10] = made[0, 0]
    made[5, :10] ^= 1
    made[6, :10] ^= 2 ** (depth - 1)
    return made


def palette(depth):
    """All the colours that samples may choose, [2 ** depth, 3]."""
    return np.random.default_rng(depth).integers(0, 256, [2**depth, 3])


def stored_palette(colours):
    return chunk(b"PLTE", colours.astype(np.uint8).tobytes())


def needed(colour_type, depth):
    """The chunk that this kind of file cannot do without, if any."""
    return stored_palette(palette(depth)) if colour_type == PALETTE else b""


def eight_bits(made, depth):
    return made >> 8 if depth == 16 else made * 255 // (2**depth - 1)


def assert_shows(data, colours, alpha=255):
    """Checks both decoders: the same pixels, which are colours [..., 1 or 3] over white."""
    colours, alpha = np.broadcast_to(colours, [SIZE, SIZE, 3]), np.asarray(alpha)
    alpha = np.broadcast_to(alpha, [SIZE, SIZE, 1])
    given = image_files.decode(io.BytesIO(data), SIZE, 3)
    # Not more than a rounding apart, and nothing where there is nothing to round.
    exact = (colours * alpha + 255 * (255 - alpha)) / 255
    tolerance = np.where((alpha == 0) | (alpha == 255), 0, 0.51)
    assert np.all(abs(given - exact) <= tolerance)
    for channels in (1, 3):
        assert_equal_to_pillow(data, channels)


@pytest.mark.parametrize("interlaced", [False, True], ids=["in order", "interlaced"])
@pytest.mark.parametrize(("colour_type", "depth"), KINDS)
def test_a_file_of_any_depth_shows_what_is_stored(colour_type, depth, interlaced):
    made = samples(colour_type, depth)
    data = png(made, colour_type, depth, interlaced=interlaced, before=needed(colour_type, depth))
    if colour_type == PALETTE:
        assert_shows(data, palette(depth)[made[..., 0]])
    else:
        shown = eight_bits(made, depth)
        colours, alpha = (shown[..., :-1], shown[..., -1:]) if colour_type >= 4 else (shown, 255)
        assert_shows(data, colours, alpha)


@pytest.mark.parametrize("interlaced", [False, True], ids=["in order", "interlaced"])
@pytest.mark.parametrize("choice", ["frequent", "least", "greatest", "nearly"])
@pytest.mark.parametrize(("colour_type", "depth"), [kind for kind in KINDS if kind[0] in (0, 2)])
def test_a_transparent_colour_is_that_of_all_its_bits(colour_type, depth, choice, interlaced):
    made = samples(colour_type, depth)
    frequent = made[0, 0]
    colour = {
        "frequent": frequent,
        "least": 0 * frequent,
        "greatest": 0 * frequent + 2**depth - 1,
        "nearly": frequent ^ 1,
    }[choice]
    before = chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))
    data = png(made, colour_type, depth, interlaced=interlaced, before=before)
    alpha = np.where((made == colour).all(axis=-1, keepdims=True), 0, 255)
    assert_shows(data, eight_bits(made, depth), alpha)


ALPHAS = {
    "of all": lambda count: np.random.default_rng(0).integers(0, 256, count),
    "of some": lambda count: np.random.default_rng(1).integers(0, 256, max(count // 3, 1)),
    "of one": lambda count: np.array([255] * (count - 1) + [0]),
    "of the first": lambda count: np.zeros(1, int),
    "opaque": lambda count: np.full(count, 255),
    "nothing": lambda count: np.zeros(count, int),
    # What a decoder may take for opaque where samples have few bits.
    "all bits": lambda count: np.full(count, count - 1),
}


@pytest.mark.parametrize("interlaced", [False, True], ids=["in order", "interlaced"])
@pytest.mark.parametrize("kind", ALPHAS)
@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
def test_a_palette_may_be_transparent(depth, kind, interlaced):
    made, given = samples(PALETTE, depth), ALPHAS[kind](2**depth)
    before = needed(PALETTE, depth) + chunk(b"tRNS", bytes(given.tolist()))
    data = png(made, PALETTE, depth, interlaced=interlaced, before=before)
    alpha = np.concatenate([given, np.full(2**depth - len(given), 255)])
    assert_shows(data, palette(depth)[made[..., 0]], alpha[made])


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
def test_a_palette_may_be_short(depth, transparent):
    count = max(2**depth * 2 // 3, 1)
    made = samples(PALETTE, depth) % count
    before = stored_palette(palette(depth)[:count])
    before += chunk(b"tRNS", b"\x80") if transparent else b""
    alpha = np.where(made == 0, 0x80 if transparent else 255, 255)
    assert_shows(png(made, PALETTE, depth, before=before), palette(depth)[made[..., 0]], alpha)


BESIDE = {
    "gamma": chunk(b"gAMA", struct.pack(">I", 30_000)),
    "sRGB": chunk(b"sRGB", b"\0"),
    "primaries": chunk(
        b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    ),
    "profile": chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(PROFILE)),
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize(("colour_type", "depth"), KINDS)
def test_what_is_said_of_colours_changes_no_pixel(colour_type, depth, beside):
    made, before = samples(colour_type, depth), needed(colour_type, depth)
    data = png(made, colour_type, depth, before=BESIDE[beside] + before)
    plain = png(made, colour_type, depth, before=before)
    assert_equal_to_pillow(data, 3)
    np.testing.assert_array_equal(in_graph(data), in_graph(plain))


def turned(made, orientation):
    """Exif 2.32, section 4.6.4: where the first row and the first column belong."""
    made = np.swapaxes(made, 0, 1) if orientation >= 5 else made
    made = made[:, ::-1] if orientation in (2, 3, 6, 7) else made
    return made[::-1] if orientation in (3, 4, 7, 8) else made


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("colour_type", "depth"), [(GREY, 1), (GREY, 16), (COLOUR, 8)])
def test_a_file_says_which_side_is_up(colour_type, depth, orientation, place):
    made = samples(colour_type, depth)
    exif = Image.Exif()
    exif[0x0112] = orientation
    said = {place: chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))}
    shown = turned(eight_bits(made, depth), orientation)
    assert_shows(png(made, colour_type, depth, **said), shown)


@pytest.mark.parametrize("depth", DEPTHS[COLOUR])
def test_a_file_may_be_turned_and_transparent(depth):
    made = samples(COLOUR, depth)
    exif = Image.Exif()
    exif[0x0112] = 6
    before = chunk(b"tRNS", struct.pack(">3H", *made[0, 0]))
    data = png(made, COLOUR, depth, before=before + chunk(b"eXIf", exif.tobytes()))
    alpha = np.where((made == made[0, 0]).all(axis=-1, keepdims=True), 0, 255)
    assert_shows(data, turned(eight_bits(made, depth), 6), turned(alpha, 6))


def test_what_else_may_speak_of_turning_is_not_read():
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    file = io.BytesIO()
    made = samples(COLOUR, 8)
    Image.fromarray(made.astype(np.uint8)).save(file, "PNG", pnginfo=text)
    assert_shows(file.getvalue(), made)


def test_a_moving_image_is_its_first_one():
    made = samples(COLOUR, 8).astype(np.uint8)
    file = io.BytesIO()
    more = [Image.fromarray(255 - made)]
    Image.fromarray(made).save(file, "PNG", save_all=True, append_images=more)
    assert_shows(file.getvalue(), made)


@pytest.mark.parametrize("colour_type", [GREY, COLOUR])
def test_a_file_that_is_cut_is_refused_by_both(colour_type):
    data = png(
        samples(colour_type, 16),
        colour_type,
        16,
        before=chunk(b"tRNS", bytes(2 * CHANNELS[colour_type])),
    )
    for length in (*range(0, 70, 3), len(data) // 2, len(data) - 40):
        with pytest.raises(tf.errors.InvalidArgumentError):
            in_graph(data[:length])
        with pytest.raises(image_files.UnusableImageError):
            image_files.decode(io.BytesIO(data[:length]), SIZE, 3)
