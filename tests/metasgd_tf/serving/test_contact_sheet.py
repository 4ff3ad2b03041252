"""What a contact sheet shows of images that are unlike a plain JPEG."""

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.serving.classifying import Prediction
from metasgd_tf.serving.contact_sheet import contact_sheet


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
