"""Image files: what decoding makes of them, and how bad ones are named."""

import io

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.images.files import image_files
from metasgd_tf.images.files.image_files import UnusableImageError, decode, png_or_jpeg, read
from metasgd_tf.images.files.image_listing import find
from tests.image_samples import BAD, KINDS, OTHER_FORMAT, claiming, encoded, noise, plain
from trainers.errors import InputError


def decoded(data, size=10, channels=3):
    pixels = decode(io.BytesIO(data), size, channels)
    assert pixels.shape == (size, size, channels) and pixels.dtype == np.uint8
    return pixels.astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_colour_or_grey(kind):
    data, colour, grey = KINDS[kind]
    tolerance = 4 if data[:2] == b"\xff\xd8" or "lossy" in kind else 1  # These are not exact.
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


WITHOUT_LOSS = {"WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}


@pytest.mark.parametrize("kind", WITHOUT_LOSS)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_stored_without_loss_is_the_same_in_all_formats(kind, channels):
    pixels = np.random.default_rng(1).integers(0, 256, [47, 61, 3], np.uint8)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(
        decoded(encoded(image, kind, **WITHOUT_LOSS[kind]), 20, channels),
        decoded(encoded(image), 20, channels),
    )


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize(
    ("orientation", "top", "left"),
    # Exif 2.32: where the first row and the first column of what is stored belong.
    [(1, 1, 1), (2, 1, 0), (3, 0, 0), (4, 0, 1), (5, 1, 1), (6, 1, 0), (7, 0, 0), (8, 0, 1)],
)
def test_every_format_says_which_side_is_up(kind, orientation, top, left):
    corner = np.zeros([16, 24, 3], np.uint8)
    corner[:8, :12] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = WITHOUT_LOSS.get(kind, {})
    found = decoded(encoded(Image.fromarray(corner), kind, exif=exif, **options), 16, 1)[..., 0]
    assert found[2 if top else -3, 2 if left else -3] > 240
    assert found.mean() < 70  # A quarter is white.


def test_what_is_said_of_a_camera_may_be_nonsense():
    data = encoded(plain("L", 77), "JPEG", exif=b"Exif\0\0nonsense, and more of it")
    np.testing.assert_allclose(decoded(data), 77, atol=2)


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_described(name):
    data, reason = BAD[name]
    with pytest.raises(UnusableImageError, match=f"^({reason})"):
        decode(io.BytesIO(data), 84, 3)


def test_a_image_of_the_least_size_is_good():
    assert decoded(encoded(plain("L", 9, 8, 8))).shape == (10, 10, 3)


GOOD = encoded(plain("L", 9))


def touch(root, *names, data=GOOD):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


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
    names = ["empty.png", "words.jpg", "cut.jpg", "cut.webp", "float.tif", "low.png", "huge.png"]
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
    assert f"a/0009.png ({OTHER_FORMAT}) and 1,290 others; repair" in str(info.value)
    assert "0010.png" not in str(info.value)


def test_what_pillow_warns_of_is_kept_from_the_reader(recwarn, tmp_path):
    touch(tmp_path, "a/1.png", data=claiming(10_000, 9_000))
    with pytest.raises(InputError, match="10000 × 9000"):
        read(str(tmp_path), {"train": find(str(tmp_path))}, 20, 3)
    # A file that another test has left open is closed at any time.
    said = [warning for warning in recwarn if warning.category is not ResourceWarning]
    assert [str(warning.message) for warning in said] == []


def test_an_error_that_is_not_the_files_is_not_hidden(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png")
    monkeypatch.setattr(image_files, "decode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read(str(tmp_path), {"train": find(str(tmp_path))}, 20, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_export_is_sent_what_it_decodes_as_it_is(tmp_path, kind):
    touch(tmp_path, "1", data=noise(kind)[:-100])
    assert png_or_jpeg(tmp_path / "1") == noise(kind)[:-100]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_sent_an_image_that_training_would_see_so(tmp_path, kind, channels):
    data = KINDS[kind][0]
    touch(tmp_path, "1", data=data)
    sent = png_or_jpeg(tmp_path / "1")
    assert sent.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
    np.testing.assert_array_equal(
        decoded(sent, channels=channels), decoded(data, channels=channels)
    )


@pytest.mark.parametrize("name", ["words.jpg", "float.tif", "narrow.gif", "low.webp"])
def test_an_export_is_not_sent_what_cannot_be_used(tmp_path, name):
    data, reason = BAD[name]
    touch(tmp_path, name, data=data)
    with pytest.raises(UnusableImageError, match=f"^{reason}"):
        png_or_jpeg(tmp_path / name)


def test_a_file_that_is_gone_is_not_sent(tmp_path):
    with pytest.raises(UnusableImageError, match="^cannot be read: No such file or directory$"):
        png_or_jpeg(tmp_path / "gone.png")
