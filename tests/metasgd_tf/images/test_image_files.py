"""Image files: which are found, what decoding makes of them, and how bad ones are named."""

import io
import os
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.images import image_files
from metasgd_tf.images.image_files import UnusableImageError, decode, find, read
from trainers.errors import InputError

RED, WHITE = (200, 0, 0), (255, 255, 255)
GREY_OF_RED = 60  # 0.299 · 200, ITU-R 601-2.


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data, size=10, channels=3):
    pixels = decode(io.BytesIO(data), size, channels)
    assert pixels.shape == (size, size, channels) and pixels.dtype == np.uint8
    return pixels.astype(int)


def plain(mode, colour, width=30, height=20):
    return Image.new(mode, (width, height), colour)


def see_through_palette():
    image = Image.new("P", (30, 20), 1)
    image.putpalette([0, 0, 0, *RED])
    image.info["transparency"] = 1
    return image


def two_frames():
    return encoded(
        plain("RGB", RED), "GIF", save_all=True, append_images=[plain("RGB", (0, 0, 99))]
    )


KINDS = {
    "png": (encoded(plain("RGB", RED)), RED, GREY_OF_RED),
    "bmp": (encoded(plain("RGB", RED), "BMP"), RED, GREY_OF_RED),
    "gif": (encoded(plain("RGB", RED), "GIF"), RED, GREY_OF_RED),
    "jpeg": (encoded(plain("RGB", RED), "JPEG", quality=95), RED, GREY_OF_RED),
    "cmyk": (encoded(plain("RGB", RED).convert("CMYK"), "JPEG", quality=95), RED, GREY_OF_RED),
    "palette": (encoded(plain("RGB", RED).quantize(4)), RED, GREY_OF_RED),
    "grey": (encoded(plain("L", 77)), (77, 77, 77), 77),
    "grey jpeg": (encoded(plain("L", 77), "JPEG"), (77, 77, 77), 77),
    "a bit": (encoded(plain("1", 1)), WHITE, 255),
    "16 bits": (encoded(plain("I;16", 0x80FF)), (0x80, 0x80, 0x80), 0x80),
    "opaque": (encoded(plain("RGBA", (*RED, 255))), RED, GREY_OF_RED),
    # A fifth of red on white: 0.2 · 200 + 0.8 · 255 and 0.8 · 255.
    "transparent": (encoded(plain("RGBA", (*RED, 51))), (244, 204, 204), 216),
    "transparent grey": (encoded(plain("LA", (100, 51))), (224, 224, 224), 224),
    "transparent in a palette": (encoded(see_through_palette(), transparency=1), WHITE, 255),
    "frames": (two_frames(), RED, GREY_OF_RED),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_colour_or_grey(kind):
    data, colour, grey = KINDS[kind]
    tolerance = 4 if data[:2] == b"\xff\xd8" else 1  # A JPEG is not exact.
    np.testing.assert_allclose(decoded(data), np.full([10, 10, 3], colour), atol=tolerance)
    np.testing.assert_allclose(decoded(data, channels=1), grey, atol=tolerance)


def test_sides_are_stretched_to_a_square():
    pixels = np.zeros([20, 60, 3], np.uint8)
    pixels[:, 30:] = 255
    found = decoded(encoded(Image.fromarray(pixels)), channels=1)[..., 0]
    np.testing.assert_array_equal(found[:, :4], 0)
    np.testing.assert_array_equal(found[:, -4:], 255)


def test_fine_detail_becomes_its_mean_and_no_pattern():
    checks = np.uint8(255 * (np.indices([252, 252]).sum(0) % 2))
    for size in (84, 50, 31):
        found = decoded(encoded(Image.fromarray(checks)), size, channels=1)
        assert np.abs(found[2:-2, 2:-2] - 127.5).max() < 4


def test_small_images_are_enlarged():
    ramp = np.uint8(np.indices([8, 8])[1] * 30)
    found = decoded(encoded(Image.fromarray(ramp)), 32, channels=1)[..., 0]
    expected = 30 * np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    np.testing.assert_allclose(found, np.tile(expected, [32, 1]), atol=1)


@pytest.mark.parametrize(("width", "height"), [(640, 400), (90, 700), (84, 84), (2000, 1500)])
def test_a_jpeg_of_any_size_keeps_what_it_shows(width, height):
    across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[..., 0], pixels[..., 1] = across, down[:, np.newaxis]
    found = decoded(encoded(Image.fromarray(pixels), "JPEG", quality=95), 84)
    middles = (np.arange(84) + 0.5) / 84 * 255
    np.testing.assert_allclose(found[..., 0], np.tile(middles, [84, 1]), atol=6)
    np.testing.assert_allclose(found[..., 1], np.tile(middles[:, np.newaxis], [1, 84]), atol=6)


def test_a_camera_held_sideways_is_made_up_for():
    pixels = np.zeros([40, 40], np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # The left side of what is stored belongs on top.
    found = decoded(encoded(Image.fromarray(pixels), "JPEG", exif=exif), channels=1)[..., 0]
    assert found[:4].min() > 240 and found[-4:].max() < 15


def test_what_is_said_of_a_camera_may_be_nonsense():
    data = encoded(plain("L", 77), "JPEG", exif=b"Exif\0\0nonsense, and more of it")
    np.testing.assert_allclose(decoded(data), 77, atol=2)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claiming(width, height):
    """A PNG of a few bytes whose header claims that size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def noise(kind):
    pixels = np.random.default_rng(0).integers(0, 256, [60, 60, 3], np.uint8)
    return encoded(Image.fromarray(pixels), kind)


BAD = {
    "empty.png": (b"", "no PNG, JPEG, BMP or GIF"),
    "words.jpg": (b"not an image at all, whatever its name says", "no PNG, JPEG, BMP or GIF"),
    "other.png": (noise("TIFF"), "no PNG, JPEG, BMP or GIF"),
    "cut.jpg": (noise("JPEG")[:-1000], "damaged: .*truncated"),
    "cut.png": (noise("PNG")[:-1000], "damaged: "),
    "begun.jpg": (noise("JPEG")[:20], "no PNG, JPEG, BMP or GIF|damaged: "),
    "broken.png": (noise("PNG")[:3000] + b"broken" + noise("PNG")[3006:], "damaged: "),
    "low.png": (encoded(plain("RGB", RED, 40, 7)), "40 × 7 pixels, smaller than 8 × 8"),
    "narrow.gif": (encoded(plain("L", 5, 1, 90), "GIF"), "1 × 90 pixels, smaller than 8 × 8"),
    "large.png": (claiming(9_000, 8_000), "9000 × 8000 pixels, more than 67,108,864"),
    "huge.png": (claiming(100_000, 100_000), "more than 67,108,864 pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_described(name):
    data, reason = BAD[name]
    start = time.monotonic()
    with pytest.raises(UnusableImageError, match=f"^({reason})"):
        decode(io.BytesIO(data), 84, 3)
    assert time.monotonic() - start < 1  # Nothing of a claimed size was made.


def test_a_image_of_the_least_size_is_good():
    assert decoded(encoded(plain("L", 9, 8, 8))).shape == (10, 10, 3)


GOOD = encoded(plain("L", 9))


def touch(root, *names, data=GOOD):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_files_are_found_in_the_order_of_their_names(tmp_path):
    touch(tmp_path, "b/10.png", "b/9.png", "a c/z.png", "b/Z.PNG", "a c/é.png", "Ä/1.gif")
    assert [
        (name, [path.name for path in paths]) for name, paths in find(str(tmp_path)).items()
    ] == [("a c", ["z.png", "é.png"]), ("b", ["10.png", "9.png", "Z.PNG"]), ("Ä", ["1.gif"])]


def test_the_order_in_which_the_disk_lists_does_not_matter(tmp_path, monkeypatch):
    touch(tmp_path, "b/2.png", "b/1.png", "a/1.png")
    expected = find(str(tmp_path))
    listing = os.scandir

    class Backwards:
        def __init__(self, path):
            self.entries = sorted(listing(path), key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    found = find(str(tmp_path))
    assert list(found) == list(expected) == ["a", "b"] and found == expected


def test_what_systems_leave_and_what_lies_beside_the_classes_is_left_alone(tmp_path):
    touch(tmp_path, "a/1.png")
    clutter = ["README.txt", "splits.csv", "loose.png", ".DS_Store", "a/.DS_Store", "a/Thumbs.db"]
    touch(tmp_path, *clutter, ".git/config", "a/._1.png", "a/desktop.ini", data=b"clutter")
    assert find(str(tmp_path)) == {"a": [tmp_path / "a" / "1.png"]}


def test_links_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/cats/1.png", "classes/dogs/1.png")
    (tmp_path / "classes" / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (tmp_path / "classes" / "dogs" / "2.png").symlink_to(tmp_path / "elsewhere/cats/1.png")
    found = find(str(tmp_path / "classes"))
    assert {name: len(paths) for name, paths in found.items()} == {"cats": 1, "dogs": 2}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no sub-folders"),
        (["1.png"], "has no sub-folders"),
        (["a/1.png", "b/.DS_Store", "c/Thumbs.db"], "but b has no files, c has no files"),
        (["a/1.png", "b/more/1.png"], "but b/more is a folder"),
    ],
)
def test_a_folder_of_another_form_is_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=f"image_dir={tmp_path}: .*{message}"):
        find(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=f"image_dir={tmp_path}/x: .*No such file or directory"):
        find(str(tmp_path / "x"))
    touch(tmp_path, "file")
    with pytest.raises(InputError, match=f"image_dir={tmp_path}/file: .*Not a directory"):
        find(str(tmp_path / "file"))


def test_images_are_read_class_after_class(tmp_path):
    for number, name in enumerate(["a/1.png", "a/2.png", "b/1.png", "c/1.png", "c/2.png"]):
        touch(tmp_path, name, data=encoded(plain("L", 10 * number)))
    files = find(str(tmp_path))
    images = read(
        str(tmp_path), {"train": {n: files[n] for n in "ca"}, "test": {"b": files["b"]}}, 9, 3
    )
    assert images["train"][1:] == ((2, 2), ("c", "a"))
    assert images["test"][1:] == ((1,), ("b",))
    assert images["train"].images.shape == (4, 9, 9, 3)
    assert images["train"].images[:, 4, 4, 0].tolist() == [30, 40, 0, 10]
    assert images["test"].images[:, 4, 4, 0].tolist() == [20]


def test_all_bad_files_are_found_at_once(tmp_path):
    touch(tmp_path, "good/1.png", "bad/good.png", "other/good.jpg")
    names = sorted(BAD)[:8]
    for number, name in enumerate(names):
        touch(tmp_path, f"{('bad', 'other')[number % 2]}/{name}", data=BAD[name][0])
    (tmp_path / "bad" / "zz.png").symlink_to(tmp_path / "gone.png")
    files = find(str(tmp_path))
    groups = {
        "train": {"good": files["good"], "bad": files["bad"]},
        "test": {"other": files["other"]},
    }
    with pytest.raises(InputError) as info:
        read(str(tmp_path), groups, 20, 3)
    message = str(info.value)
    assert message.startswith(f"image_dir={tmp_path}: files that cannot be used: bad/")
    for number, name in enumerate(names):
        assert f"{('bad', 'other')[number % 2]}/{name} (" in message
    assert "bad/zz.png (cannot be read: No such file or directory)" in message
    assert "good.png" not in message and "good.jpg" not in message and "others" not in message


def test_ten_bad_files_are_named_and_the_others_counted(tmp_path):
    touch(tmp_path, *(f"a/{number:04}.png" for number in range(1300)), data=b"no image")
    with pytest.raises(InputError) as info:
        read(str(tmp_path), {"train": find(str(tmp_path))}, 20, 3)
    assert "a/0009.png (no PNG, JPEG, BMP or GIF) and 1,290 others; repair" in str(info.value)
    assert "0010.png" not in str(info.value)


def test_what_pillow_warns_of_is_kept_from_the_reader(recwarn, tmp_path):
    touch(tmp_path, "a/1.png", data=claiming(10_000, 9_000))
    with pytest.raises(InputError, match="10000 × 9000"):
        read(str(tmp_path), {"train": find(str(tmp_path))}, 20, 3)
    assert not recwarn.list


def test_an_error_that_is_not_the_files_is_not_hidden(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png")
    monkeypatch.setattr(image_files, "decode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read(str(tmp_path), {"train": find(str(tmp_path))}, 20, 3)
