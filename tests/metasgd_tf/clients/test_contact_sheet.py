"""What a contact sheet shows of images that are unlike a plain JPEG."""

import os

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.clients.classifying import Prediction
from metasgd_tf.clients.contact_sheet import contact_sheet
from metasgd_tf.figures import style


@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        (np.full((12, 8), 0x8123, np.uint16), [0x81] * 3),
        (np.full((12, 8, 4), [10, 20, 30, 0], np.uint8), [255] * 3),
        (np.full((12, 8, 3), [10, 20, 30], np.uint8), [10, 20, 30]),
    ],
    ids=["16 bits", "transparent", "colours"],
)
def test_images_look_as_the_learner_sees_them(pixels, shown, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    drawn = contact_sheet({"a": [path]}, [Prediction(path, "a", 0.9, {"a": 0.9})])
    images = drawn.axes[0].images
    assert len(images) == 2
    for image in images:
        np.testing.assert_array_equal(np.asarray(image.get_array())[80, 80], shown)


NAMES = ("$10_off_$5", "US$50 or US$60", os.fsdecode(b"d\xe9p\xf4t"), "a\nb\x1b")


@pytest.mark.parametrize("ending", style.METADATA)
def test_names_are_written_as_they_are_whatever_they_are(tmp_path, ending):
    support = {}
    for name in NAMES:
        support[name] = [tmp_path / f"{name}.png"]
        Image.new("RGB", (20, 20)).save(support[name][0])
    given = [Prediction(paths[0], name, 0.5, {name: 0.5}) for name, paths in support.items()]
    drawn = contact_sheet(support, given)
    written = [text.get_text() for text in drawn.axes[0].texts]
    for name in ("$10_off_$5", "US$50 or US$60", r"d\xe9p\xf4t", r"a\nb\x1b"):
        assert name in written
        assert any(text.startswith(name[:14]) and text.endswith("\n50.0 %") for text in written)
    output = tmp_path / f"{NAMES[2]}{ending}"
    style.save(drawn, str(output), "contact_sheet")
    assert output.stat().st_size > 0


def test_an_image_that_pillow_refuses_leaves_its_place_empty(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(np.zeros((12, 8), np.uint8)).save(good)
    bad.write_bytes(good.read_bytes()[:40])
    drawn = contact_sheet({"a": [good]}, [Prediction(bad, "a", 0.9, {"a": 0.9})])
    assert len(drawn.axes[0].images) == 1
    assert "not shown" in [text.get_text() for text in drawn.axes[0].texts]
