"""MiniImagenet as a builder of TensorFlow Datasets: its images, its name, and TFDS' own tests."""

import pathlib
import tempfile
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from metasgd_tf.images import mini_imagenet
from metasgd_tf.images.mini_imagenet import builder
from metasgd_tf.images.mini_imagenet.contents import complete
from tests import synthetic_mini_imagenet as synthetic
from tests.synthetic_mini_imagenet import CONTENTS, LAYOUTS

pytestmark = pytest.mark.slow


def lanczos(size, side=84):
    """Returns the weights of Lanczos's filter of radius 3 that shrink `size` pixels to `side`."""
    scale = size / side
    centres = (np.arange(side) + 0.5) * scale
    distance = (np.arange(size) + 0.5 - centres[:, np.newaxis]) / scale
    weights = np.where(abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (84, 168)])
def test_images_are_shrunk_by_lanczos(height, width):
    noise = np.random.default_rng(0).integers(0, 256, [height, width, 3])
    image = (noise * np.linspace(0.5, 1, width)[:, np.newaxis]).astype(np.uint8)
    channels = [lanczos(height) @ image[..., channel] @ lanczos(width).T for channel in range(3)]
    expected = np.clip(np.stack(channels, axis=-1), 0, 255)
    found = builder.shrink(tf.io.encode_png(image).numpy())
    assert found.shape == (84, 84, 3) and found.dtype == np.uint8
    assert np.abs(found - expected).max() < 0.51


def test_images_of_the_right_size_stay_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, [84, 84, 3], np.uint8)
    np.testing.assert_array_equal(builder.shrink(tf.io.encode_png(image).numpy()), image)


def test_grey_images_become_coloured():
    grey = np.random.default_rng(0).integers(0, 256, [84, 84, 1], np.uint8)
    np.testing.assert_array_equal(
        builder.shrink(tf.io.encode_png(grey).numpy()), np.repeat(grey, 3, axis=2)
    )


def test_tfds_knows_the_builder_and_takes_the_complete_set_by_default(tmp_path):
    found = tfds.builder("mini_imagenet", data_dir=str(tmp_path))
    assert pathlib.Path(found.data_dir) == tmp_path / "mini_imagenet" / "complete" / "1.0.0"
    assert found.info.features["image"].shape == (84, 84, 3)
    assert found.info.features["image"].dtype == np.uint8
    assert found.info.features["label"].names == complete().names
    assert found.info.features["label"].str2int("n01855672") == 64


def test_tfds_load_takes_the_incomplete_set_by_its_name(tmp_path):
    manual_dir = tmp_path / "downloads" / "manual"
    manual_dir.mkdir(parents=True)
    synthetic.write_ilsvrc_tars(manual_dir)
    examples = tfds.load(
        "mini_imagenet/incomplete",
        split="train+test",
        data_dir=str(tmp_path),
        download_and_prepare_kwargs={
            "download_config": tfds.download.DownloadConfig(try_download_gcs=False)
        },
    )
    names = {
        example["file_name"].decode(): example["label"] for example in examples.as_numpy_iterator()
    }
    ranks = ("00000002", "00000003", "00000005")
    labels = {"n01532829": 0, "n01558993": 1, "n01704323": 2, "n01930112": 80}
    assert names == {f"{name}{rank}.jpg": labels[name] for name in labels for rank in ranks}


class BuilderCase(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own tests of a builder, on a layout."""

    DATASET_CLASS = mini_imagenet.MiniImagenet
    SPLITS = {"train": 9, "validation": 3, "test": 3}  # noqa: RUF012
    LAYOUT = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(mock.patch.object(builder, "complete", lambda: CONTENTS))
        cls.EXAMPLE_DIR = cls.enterClassContext(tempfile.TemporaryDirectory())
        LAYOUTS[cls.LAYOUT](pathlib.Path(cls.EXAMPLE_DIR))


class TestImages(BuilderCase):
    LAYOUT = "images"


class TestClassFolders(BuilderCase):
    LAYOUT = "class_folders"


class TestIlsvrcFolders(BuilderCase):
    LAYOUT = "ilsvrc_folders"


class TestIlsvrcTars(BuilderCase):
    LAYOUT = "ilsvrc_tars"


class TestIlsvrcTar(BuilderCase):
    LAYOUT = "ilsvrc_tar"


# Else pytest would run it too, without a layout.
del BuilderCase
