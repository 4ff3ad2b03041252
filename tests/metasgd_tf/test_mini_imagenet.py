"""MiniImagenet: what is found in each layout, what is refused, and what is prepared and loaded."""

import gzip
import pathlib
import re
import tarfile
import tempfile
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from metasgd_tf import mini_imagenet
from metasgd_tf.mini_imagenet import builder, layouts, loading
from metasgd_tf.mini_imagenet.contents import complete
from tests import synthetic_mini_imagenet as synthetic
from tests.synthetic_mini_imagenet import CONTENTS, LAYOUTS
from trainers.errors import InputError

COMPLETE = "metasgd_tf.mini_imagenet.builder.complete"


def small():
    return CONTENTS


@pytest.fixture
def small_contents(monkeypatch):
    monkeypatch.setattr(COMPLETE, small)


def find(folder):
    return layouts.find(folder, CONTENTS)


def stored(found):
    return {
        (split, picture.label, picture.name): picture.stored.read()
        for split, pictures in found.pictures.items()
        for picture in pictures
    }


def test_the_class_lists_are_those_of_ravi_and_larochelle():
    classes = complete().classes
    assert {split: len(names) for split, names in classes.items()} == {
        "train": 64,
        "validation": 16,
        "test": 20,
    }
    names = [name for split in classes.values() for name in split]
    assert len(set(names)) == 100 and complete().names == names
    assert all(re.fullmatch(r"n\d{8}", name) for name in names)
    # The first of each of their CSV files.
    assert [split[0] for split in classes.values()] == ["n01532829", "n01855672", "n01930112"]
    assert complete().pictures == 600


def test_the_sizes_of_the_ilsvrc_classes():
    sizes = complete().ilsvrc_files
    assert list(sizes) == complete().names
    assert sorted(set(sizes.values())) == [
        *(969, 1025, 1154, 1206, 1207, 1216, 1222, 1250, 1264, 1266, 1300)
    ]
    assert list(sizes.values()).count(1300) == 90
    assert sizes["n02606052"] == 969 and sizes["n01532829"] == 1300


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_the_same_pictures(tmp_path, layout):
    LAYOUTS[layout](tmp_path)
    found = find(tmp_path)
    assert stored(found) == synthetic.pictures()
    assert found.lacking == {}


@pytest.mark.parametrize("place", ["train", "images"])
def test_ilsvrc_may_lie_in_a_folder_beside_the_csv_files(tmp_path, place):
    (tmp_path / place).mkdir()
    synthetic.write_ilsvrc_folders(tmp_path / place)
    synthetic.write_csv(tmp_path)
    assert stored(find(tmp_path)) == synthetic.pictures()


def test_validation_may_be_spelt_out(tmp_path):
    synthetic.write_class_folders(tmp_path)
    (tmp_path / "val").rename(tmp_path / "validation")
    assert stored(find(tmp_path)) == synthetic.pictures()


def test_a_folder_mini_imagenet_is_taken_instead(tmp_path):
    (tmp_path / "mini_imagenet").mkdir()
    synthetic.write_images(tmp_path / "mini_imagenet")
    (tmp_path / "images").mkdir()
    assert stored(find(tmp_path)) == synthetic.pictures()


def test_other_files_do_not_matter(tmp_path):
    synthetic.write_class_folders(tmp_path / "folders")
    (tmp_path / "folders" / "train" / "n01532829" / ".DS_Store").write_bytes(b"")
    (tmp_path / "folders" / "train" / "n01532829" / "._n0153282900000002.jpg").write_bytes(b"")
    (tmp_path / "folders" / "train" / "n01532829" / "notes.txt").write_bytes(b"")
    (tmp_path / "folders" / "train" / "__MACOSX").mkdir()
    (tmp_path / "ilsvrc").mkdir()
    synthetic.write_ilsvrc_folders(tmp_path / "ilsvrc")
    (tmp_path / "ilsvrc" / "n01532829" / "n01532829_boxes.xml").write_bytes(b"")
    (tmp_path / "ilsvrc" / "n01440764").mkdir()
    for folder in ("folders", "ilsvrc"):
        found = find(tmp_path / folder)
        assert stored(found) == synthetic.pictures() and not found.lacking


def test_a_class_without_a_folder_is_taken_from_its_tar(tmp_path):
    synthetic.write_ilsvrc_tar(tmp_path)
    (tmp_path / "n01558993.tar").write_bytes(synthetic.tar(synthetic.ilsvrc("n01558993")))
    folder = tmp_path / "n01930112"
    folder.mkdir()
    for name, data in synthetic.ilsvrc("n01930112").items():
        (folder / name).write_bytes(data)
    found = find(tmp_path)
    assert stored(found) == synthetic.pictures()
    paths = {picture.label: picture.stored.path.name for picture in found.pictures["train"]}
    assert paths == {
        "n01532829": "ILSVRC2012_img_train.tar",
        "n01558993": "n01558993.tar",
        "n01704323": "ILSVRC2012_img_train.tar",
    }
    assert found.pictures["test"][0].stored.path == folder / "n01930112_9.JPEG"


@pytest.mark.parametrize(("rank", "number"), [(1, 4), (2, 9), (4, 123), (6, 34094)])
def test_ranks_count_from_1_in_the_order_of_numbers(tmp_path, rank, number):
    synthetic.write_ilsvrc_tars(tmp_path)
    name = f"n01855672{rank:08d}.jpg"
    (tmp_path / "val.csv").write_text(f"filename,label\n{name},n01855672\n")
    [picture] = find(tmp_path).pictures["validation"]
    assert picture.name == name
    assert picture.stored.read() == synthetic.jpeg("n01855672", number)


@pytest.mark.parametrize(
    "name", ["n0185567200000000.jpg", "n0185567200000007.jpg", "n0193011200000002.jpg", "9.jpg"]
)
def test_names_that_are_no_rank_of_the_class_are_missing(tmp_path, name):
    synthetic.write_ilsvrc_tars(tmp_path)
    (tmp_path / "val.csv").write_text(f"filename,label\n{name},n01855672\n")
    found = find(tmp_path)
    assert found.pictures["validation"] == []
    assert found.lacking[layouts.MISSING_FILES] == [f"val.csv {name}"]


def test_a_missing_ilsvrc_picture_is_noticed_since_ranks_shift(tmp_path):
    synthetic.write_ilsvrc_folders(tmp_path)
    (tmp_path / "n01558993" / "n01558993_4.JPEG").unlink()
    assert find(tmp_path).lacking == {
        layouts.INCOMPLETE_ILSVRC: ["n01558993 (5 instead of 6)"],
    }


def test_a_missing_file_is_named(tmp_path):
    synthetic.write_images(tmp_path)
    (tmp_path / "images" / "n0155899300000003.jpg").unlink()
    (tmp_path / "images" / "n0193011200000005.jpg").unlink()
    assert find(tmp_path).lacking == {
        layouts.OTHER_COUNTS: ["n01558993 (2 instead of 3)", "n01930112 (2 instead of 3)"],
        layouts.MISSING_FILES: [
            "train.csv n0155899300000003.jpg",
            "test.csv n0193011200000005.jpg",
        ],
    }


def test_missing_and_surplus_pictures_and_classes_are_named(tmp_path):
    synthetic.write_class_folders(tmp_path)
    train = tmp_path / "train"
    (train / "n01532829" / "one_more.png").write_bytes(b"")
    for path in (train / "n01558993").iterdir():
        path.unlink()
    assert find(tmp_path).lacking == {
        layouts.MISSING_CLASSES: ["n01558993"],
        layouts.OTHER_COUNTS: ["n01532829 (4 instead of 3)"],
    }


def test_a_name_that_is_listed_twice_counts_once(tmp_path):
    synthetic.write_images(tmp_path)
    rows = (tmp_path / "val.csv").read_text().splitlines()
    (tmp_path / "val.csv").write_text("\n".join([*rows[:3], rows[2]]))
    assert find(tmp_path).lacking == {layouts.OTHER_COUNTS: ["n01855672 (2 instead of 3)"]}


def test_what_is_lacking_is_said_in_bounded_length():
    items = [f"n{number:08d}" for number in range(60_000)]
    text = layouts.complaint({layouts.MISSING_CLASSES: items[:2], layouts.MISSING_FILES: items})
    assert text.startswith(
        "classes without a picture (2): n00000000, n00000001; "
        "names in the CSV files without a file (60,000): n00000000, n00000001, n00000002, "
    )
    assert text.endswith("n00000009 and 59,990 others")
    assert len(text) < 300


def test_csv_files_with_other_classes_are_refused_by_name(tmp_path):
    synthetic.write_images(tmp_path)
    val, test = tmp_path / "val.csv", tmp_path / "test.csv"
    test.write_bytes(val.read_bytes())
    with pytest.raises(InputError, match=r"test\.csv, whose classes n01855672 .*Vinyals"):
        find(tmp_path)


def test_folders_of_other_classes_are_refused_by_name(tmp_path):
    synthetic.write_class_folders(tmp_path)
    (tmp_path / "val" / "n01440764").mkdir()
    with pytest.raises(InputError, match=r"val, whose classes n01440764 are not .*validation"):
        find(tmp_path)


def test_a_byte_order_mark_and_empty_lines_are_read_over(tmp_path):
    synthetic.write_images(tmp_path)
    data = (tmp_path / "val.csv").read_bytes()
    (tmp_path / "val.csv").write_bytes(b"\xef\xbb\xbf" + data + b"\r\n")
    assert stored(find(tmp_path)) == synthetic.pictures()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"row 1 is ''; it should have the header filename,label"),
        (b"class_name,image_name\n", r"row 1 is 'class_name,image_name'"),
        (b"filename,label\nn0185567200000003.jpg\n", r"row 2 is 'n0185567200000003.jpg'"),
        (b"filename,label\na,b,c\n", r"row 2 is 'a,b,c'"),
        (b"filename,label\n\xff,n01855672\n", r"val\.csv, which cannot be read as CSV"),
    ],
)
def test_what_is_no_such_csv_file_is_refused(tmp_path, data, message):
    synthetic.write_images(tmp_path)
    (tmp_path / "val.csv").write_bytes(data)
    with pytest.raises(InputError, match=message):
        find(tmp_path)


def test_a_folder_without_any_layout_is_refused(tmp_path):
    synthetic.write_images(tmp_path)
    (tmp_path / "val.csv").unlink()
    with pytest.raises(InputError) as raised:
        find(tmp_path)
    message = str(raised.value)
    assert message.startswith(f"manual_dir={tmp_path}: should hold either images/ with train.csv, ")
    assert "train/, val/ and test/" in message and "ILSVRC2012_img_train.tar" in message
    assert message.endswith("it holds images, test.csv, train.csv")
    with pytest.raises(InputError, match="it holds nothing$"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("layout", ["ilsvrc_tars", "ilsvrc_tar"])
def test_a_tar_that_breaks_off_in_a_file_is_refused(tmp_path, layout):
    LAYOUTS[layout](tmp_path)
    path = min(tmp_path.glob("*.tar"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=rf"{path}, which cannot be read as an uncompressed tar"):
        find(tmp_path)


def test_a_tar_that_breaks_off_between_files_is_incomplete(tmp_path):
    synthetic.write_ilsvrc_tars(tmp_path)
    path = tmp_path / "n01930112.tar"
    with tarfile.open(path) as archive:
        third = archive.getmembers()[2].offset
    path.write_bytes(path.read_bytes()[:third])
    lacking = find(tmp_path).lacking
    assert lacking[layouts.INCOMPLETE_ILSVRC] == ["n01930112 (2 instead of 6)"]


def test_a_compressed_tar_is_refused(tmp_path):
    synthetic.write_ilsvrc_tars(tmp_path)
    path = tmp_path / "n01930112.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{path}, which cannot be read as an uncompressed tar"):
        find(tmp_path)


def lanczos(size, side=84):
    """Returns the weights of Lanczos's filter of radius 3 that shrink `size` pixels to `side`."""
    scale = size / side
    centres = (np.arange(side) + 0.5) * scale
    distance = (np.arange(size) + 0.5 - centres[:, np.newaxis]) / scale
    weights = np.where(abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (84, 168)])
def test_pictures_are_shrunk_by_lanczos(height, width):
    noise = np.random.default_rng(0).integers(0, 256, [height, width, 3])
    image = (noise * np.linspace(0.5, 1, width)[:, np.newaxis]).astype(np.uint8)
    channels = [lanczos(height) @ image[..., channel] @ lanczos(width).T for channel in range(3)]
    expected = np.clip(np.stack(channels, axis=-1), 0, 255)
    found = builder.shrink(tf.io.encode_png(image).numpy())
    assert found.shape == (84, 84, 3) and found.dtype == np.uint8
    assert np.abs(found - expected).max() < 0.51


def test_pictures_of_the_right_size_stay_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, [84, 84, 3], np.uint8)
    np.testing.assert_array_equal(builder.shrink(tf.io.encode_png(image).numpy()), image)


def test_grey_pictures_become_coloured():
    grey = np.random.default_rng(0).integers(0, 256, [84, 84, 1], np.uint8)
    np.testing.assert_array_equal(
        builder.shrink(tf.io.encode_png(grey).numpy()), np.repeat(grey, 3, axis=2)
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [("{{node}} Bad\nmore [Op:One]", "Bad"), (f"Bad {'x' * 200}", f"Bad {'x' * 96}")],
)
def test_a_reason_is_one_short_line(message, reason):
    assert builder._reason(tf.errors.InvalidArgumentError(None, None, message)) == reason


def config_dir(data_dir, config):
    return pathlib.Path(data_dir) / "mini_imagenet" / config


def check_split(pictures, split):
    """Checks that a loaded split has each of its pictures once, at the right class."""
    names = synthetic.CLASSES[split]
    assert pictures.class_names == names
    assert pictures.images.shape == (3 * len(names), 84, 84, 3)
    assert pictures.images.dtype == np.uint8 and pictures.labels.dtype == np.int64
    np.testing.assert_array_equal(pictures.labels, np.repeat(np.arange(len(names)), 3))
    expected = {
        synthetic.colour(name, number): name
        for name in names
        for number in synthetic.TAKEN.values()
    }
    for image, label in zip(pictures.images, pictures.labels, strict=True):
        # JPEG changes a colour by a little, and the next colour is 30 away.
        distance = {colour: np.abs(image - np.float32(colour)).max() for colour in expected}
        nearest = min(distance, key=distance.__getitem__)
        assert distance[nearest] < 5 and expected.pop(nearest) == names[label]


@pytest.mark.usefixtures("small_contents")
def test_every_layout_gives_the_same_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "BATCH", 2)
    splits = ("train", "validation", "test")
    loaded = []
    for layout in ("images", "class_folders", "ilsvrc_tar"):
        manual_dir = tmp_path / layout
        manual_dir.mkdir()
        LAYOUTS[layout](manual_dir)
        loaded.append(mini_imagenet.load(str(tmp_path / f"{layout}_data"), splits, str(manual_dir)))
    for split in splits:
        check_split(loaded[0][split], split)
        for other in loaded[1:]:
            np.testing.assert_array_equal(other[split].images, loaded[0][split].images)
            np.testing.assert_array_equal(other[split].labels, loaded[0][split].labels)


@pytest.mark.usefixtures("small_contents")
def test_sets_are_prepared_once_and_from_tfds_own_place(tmp_path):
    manual_dir = tmp_path / "downloads" / "manual"
    manual_dir.mkdir(parents=True)
    synthetic.write_images(manual_dir)
    first = mini_imagenet.load(str(tmp_path), ["test"])
    for path in manual_dir.glob("*.csv"):
        path.unlink()
    again = mini_imagenet.load(str(tmp_path), ["test"])
    assert list(first) == list(again) == ["test"]
    check_split(first["test"], "test")
    np.testing.assert_array_equal(again["test"].images, first["test"].images)


@pytest.mark.usefixtures("small_contents")
def test_what_is_lacking_is_refused_or_taken_knowingly(tmp_path):
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    synthetic.write_class_folders(manual_dir)
    (manual_dir / "train" / "n01558993" / "n0155899300000003.jpg").unlink()
    arguments = (str(tmp_path), ["train"], str(manual_dir))
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(*arguments)
    assert str(raised.value) == (
        f"manual_dir={manual_dir}: mini-ImageNet is incomplete there: classes that have not the "
        "right number of pictures (1): n01558993 (2 instead of 3); complete it, or ask for "
        "mini_imagenet/incomplete (allow_incomplete=True)"
    )
    pictures = mini_imagenet.load(*arguments, allow_incomplete=True)["train"]
    np.testing.assert_array_equal(pictures.labels, [0, 0, 0, 1, 1, 2, 2, 2])
    assert len(pictures.images) == 8
    assert config_dir(tmp_path, "incomplete").exists()
    assert not (config_dir(tmp_path, "complete") / "1.0.0").exists()
    with pytest.raises(InputError, match="is incomplete there"):
        mini_imagenet.load(*arguments)


@pytest.mark.usefixtures("small_contents")
def test_unreadable_pictures_are_reported_together(tmp_path):
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    synthetic.write_images(manual_dir)
    images = manual_dir / "images"
    cut, empty, text = (
        images / f"{name}.jpg"
        for name in ("n0153282900000002", "n0185567200000003", "n0193011200000005")
    )
    cut.write_bytes(cut.read_bytes()[:-200])
    empty.write_bytes(b"")
    text.write_bytes(b"<html>Not found</html>")
    arguments = (str(tmp_path), ["train", "test"], str(manual_dir))
    with pytest.raises(InputError) as raised:
        mini_imagenet.load(*arguments)
    message = str(raised.value)
    assert "pictures that cannot be read or decoded (3): " in message and "\n" not in message
    assert message.index(str(cut)) < message.index(f"{empty} (Input is empty.)")
    assert message.index(str(empty)) < message.index(f"{text} (Unknown image file format")
    assert not list(config_dir(tmp_path, "complete").iterdir())
    loaded = mini_imagenet.load(*arguments, allow_incomplete=True)
    np.testing.assert_array_equal(loaded["train"].labels, [0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(loaded["test"].labels, [0, 0])


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_may_lack_a_class(tmp_path):
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    synthetic.write_images(manual_dir)
    for path in (manual_dir / "images").glob("n01558993*"):
        path.unlink()
    pictures = mini_imagenet.load(str(tmp_path), ["train"], str(manual_dir), True)["train"]
    assert pictures.class_names == ("n01532829", "n01704323")
    np.testing.assert_array_equal(pictures.labels, [0, 0, 0, 1, 1, 1])


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_may_lack_a_split(tmp_path):
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    synthetic.write_images(manual_dir)
    arguments = (str(tmp_path), ["test"], str(manual_dir), True)
    for path in (manual_dir / "images").glob("n01930112*"):
        path.unlink()
    with pytest.raises(InputError, match=r"splits=test: .* without any of its pictures"):
        mini_imagenet.load(*arguments)
    check_split(mini_imagenet.load(str(tmp_path), ["train"], None, True)["train"], "train")


@pytest.mark.usefixtures("small_contents")
def test_an_incomplete_set_of_nothing_is_refused(tmp_path):
    manual_dir = tmp_path / "manual"
    (manual_dir / "images").mkdir(parents=True)
    synthetic.write_csv(manual_dir)
    with pytest.raises(InputError, match=f"manual_dir={manual_dir}: holds none of the pictures"):
        mini_imagenet.load(str(tmp_path), ["test"], str(manual_dir), allow_incomplete=True)


def test_other_splits_are_refused(tmp_path):
    with pytest.raises(InputError, match="splits=val: should be among train, validation, test"):
        mini_imagenet.load(str(tmp_path), ["train", "val"])


def test_nothing_to_prepare_from_is_refused(tmp_path):
    message = (
        f"data_dir={tmp_path}: holds no prepared mini_imagenet/complete/1.0.0, and manual_dir="
        f"{tmp_path}/downloads/manual, from which to prepare it, is not there; "
    )
    with pytest.raises(InputError, match=f"^{message}"):
        mini_imagenet.load(str(tmp_path), ["train"])


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    synthetic.write_class_folders(tmp_path)
    with pytest.raises(InputError, match=f"data_dir={tmp_path}/file: .* could not be prepared"):
        mini_imagenet.load(str(tmp_path / "file"), ["train"], str(tmp_path))


def test_tfds_knows_the_builder_and_takes_the_complete_set_by_default(tmp_path):
    found = tfds.builder("mini_imagenet", data_dir=str(tmp_path))
    assert pathlib.Path(found.data_dir) == config_dir(tmp_path, "complete") / "1.0.0"
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
        cls.enterClassContext(mock.patch(COMPLETE, small))
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
