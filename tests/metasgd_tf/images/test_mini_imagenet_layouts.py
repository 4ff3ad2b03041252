"""MiniImagenet: what is found in each layout that people hold, and what is refused."""

import gzip
import re
import tarfile

import pytest

from metasgd_tf.images.mini_imagenet import layouts
from metasgd_tf.images.mini_imagenet.contents import complete
from tests import synthetic_mini_imagenet as synthetic
from tests.synthetic_mini_imagenet import CONTENTS, LAYOUTS
from trainers.errors import InputError

COMPLETE = "metasgd_tf.images.mini_imagenet.builder.complete"


def find(folder):
    return layouts.find(folder, CONTENTS)


def stored(found):
    return {
        (split, image.label, image.name): image.stored.read()
        for split, images in found.images.items()
        for image in images
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
    assert complete().images == 600


def test_the_sizes_of_the_ilsvrc_classes():
    sizes = complete().ilsvrc_files
    assert list(sizes) == complete().names
    assert sorted(set(sizes.values())) == [
        *(969, 1025, 1154, 1206, 1207, 1216, 1222, 1250, 1264, 1266, 1300)
    ]
    assert list(sizes.values()).count(1300) == 90
    assert sizes["n02606052"] == 969 and sizes["n01532829"] == 1300


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_the_same_images(tmp_path, layout):
    LAYOUTS[layout](tmp_path)
    found = find(tmp_path)
    assert stored(found) == synthetic.images()
    assert found.lacking == {}


@pytest.mark.parametrize("place", ["train", "images"])
def test_ilsvrc_may_lie_in_a_folder_beside_the_csv_files(tmp_path, place):
    (tmp_path / place).mkdir()
    synthetic.write_ilsvrc_folders(tmp_path / place)
    synthetic.write_csv(tmp_path)
    assert stored(find(tmp_path)) == synthetic.images()


def test_validation_may_be_spelt_out(tmp_path):
    synthetic.write_class_folders(tmp_path)
    (tmp_path / "val").rename(tmp_path / "validation")
    assert stored(find(tmp_path)) == synthetic.images()


def test_a_folder_mini_imagenet_is_taken_instead(tmp_path):
    (tmp_path / "mini_imagenet").mkdir()
    synthetic.write_images(tmp_path / "mini_imagenet")
    (tmp_path / "images").mkdir()
    assert stored(find(tmp_path)) == synthetic.images()


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
        assert stored(found) == synthetic.images() and not found.lacking


def test_a_class_without_a_folder_is_taken_from_its_tar(tmp_path):
    synthetic.write_ilsvrc_tar(tmp_path)
    (tmp_path / "n01558993.tar").write_bytes(synthetic.tar(synthetic.ilsvrc("n01558993")))
    folder = tmp_path / "n01930112"
    folder.mkdir()
    for name, data in synthetic.ilsvrc("n01930112").items():
        (folder / name).write_bytes(data)
    found = find(tmp_path)
    assert stored(found) == synthetic.images()
    paths = {image.label: image.stored.path.name for image in found.images["train"]}
    assert paths == {
        "n01532829": "ILSVRC2012_img_train.tar",
        "n01558993": "n01558993.tar",
        "n01704323": "ILSVRC2012_img_train.tar",
    }
    assert found.images["test"][0].stored.path == folder / "n01930112_9.JPEG"


@pytest.mark.parametrize(("rank", "number"), [(1, 4), (2, 9), (4, 123), (6, 34094)])
def test_ranks_count_from_1_in_the_order_of_numbers(tmp_path, rank, number):
    synthetic.write_ilsvrc_tars(tmp_path)
    name = f"n01855672{rank:08d}.jpg"
    (tmp_path / "val.csv").write_text(f"filename,label\n{name},n01855672\n")
    [image] = find(tmp_path).images["validation"]
    assert image.name == name
    assert image.stored.read() == synthetic.jpeg("n01855672", number)


@pytest.mark.parametrize(
    "name", ["n0185567200000000.jpg", "n0185567200000007.jpg", "n0193011200000002.jpg", "9.jpg"]
)
def test_names_that_are_no_rank_of_the_class_are_missing(tmp_path, name):
    synthetic.write_ilsvrc_tars(tmp_path)
    (tmp_path / "val.csv").write_text(f"filename,label\n{name},n01855672\n")
    found = find(tmp_path)
    assert found.images["validation"] == []
    assert found.lacking[layouts.MISSING_FILES] == [f"val.csv {name}"]


def test_a_missing_ilsvrc_image_is_noticed_since_ranks_shift(tmp_path):
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


def test_missing_and_surplus_images_and_classes_are_named(tmp_path):
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
        "classes without an image (2): n00000000, n00000001; "
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
    assert stored(find(tmp_path)) == synthetic.images()


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
