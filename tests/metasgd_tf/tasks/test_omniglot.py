"""Omniglot's characters, their split and rotations."""

import os
import shutil

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from metasgd_tf.flags import run_flags
from metasgd_tf.tasks import omniglot
from tests import synthetic_omniglot
from trainers.errors import InputError
from trainers.seeds import stream


@pytest.mark.parametrize("split_seed", [0, 1])
def test_the_split_divides_the_characters(split_seed):
    split = omniglot.split_characters(split_seed)
    assert {name: len(numbers) for name, numbers in split.items()} == {
        "train": 1100,
        "validation": 100,
        "test": 423,
    }
    assert sorted(np.concatenate(list(split.values()))) == list(range(1623))


def test_tasks_of_many_ways_find_as_many_characters_in_validation_as_in_the_test(monkeypatch):
    family = family_from_flags(
        monkeypatch, numbered_drawings(), ("train", "validation", "test"), "--ways=423"
    )
    counts = {split: len(family.class_names(split)) for split in family._images}
    assert counts == {"train": 4 * (1200 - 423), "validation": 423, "test": 423}
    np.testing.assert_array_equal(
        characters_of(family, "test"), omniglot.split_characters(0)["test"]
    )
    upright = [characters_of(family, split)[: counts[split]] for split in ("validation", "test")]
    upright.append(characters_of(family, "train")[: counts["train"] // 4])
    assert sorted(np.concatenate(upright)) == list(range(1623))
    # A task of all characters has each of them once.
    support = family.episode(stream(0, "validation"), "validation").support_inputs
    high, low = (np.round(255 * support.numpy()[:, row, 0, 0]) for row in (0, -1))
    assert sorted((256 * high + low).ravel()) == sorted(characters_of(family, "validation"))


@pytest.mark.parametrize("protocol", ["standard", "maml"])
def test_more_ways_than_the_test_has_characters_are_one_sentence(monkeypatch, protocol):
    with pytest.raises(InputError, match="ways=424: the validation split has 423 c.*ask for no"):
        family_from_flags(
            monkeypatch,
            numbered_drawings(),
            ("train", "validation"),
            "--ways=424",
            f"--protocol={protocol}",
        )


def test_the_split_follows_its_seed():
    one, same, other = (omniglot.split_characters(seed) for seed in (0, 0, 1))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
        assert set(one[name]) != set(other[name])


def test_the_split_by_a_seed_stays_what_it_has_been():
    """What was trained on one split would otherwise be tested on its own characters."""
    # NumPy's default_rng(0).permutation(1623): validation begins it, training follows from its
    # place 100, and the test from 1200.
    split = omniglot.split_characters(0)
    assert split["validation"][:5].tolist() == [1229, 854, 493, 864, 898]
    assert split["train"][:5].tolist() == [265, 614, 1510, 640, 572]
    assert split["test"][:6].tolist() == [0, 1595, 65, 1336, 1618, 33]


def test_rotations_are_further_classes():
    drawings = np.random.default_rng(0).integers(0, 256, [3, 2, 6, 6, 1], np.uint8)
    turned = omniglot.with_rotations(drawings)
    assert turned.shape == (12, 2, 6, 6, 1) and turned.dtype == np.uint8
    for turns in range(4):
        for character in range(3):
            for number in range(2):
                np.testing.assert_array_equal(
                    turned[3 * turns + character, number, :, :, 0],
                    np.rot90(drawings[character, number, :, :, 0], turns),
                )


def test_mirror_images_are_further_classes():
    drawings = np.random.default_rng(0).integers(0, 256, [3, 2, 6, 6, 1], np.uint8)
    mirrored = omniglot.with_reflections(drawings)
    assert mirrored.shape == (6, 2, 6, 6, 1) and mirrored.dtype == np.uint8
    np.testing.assert_array_equal(mirrored[:3], drawings)
    np.testing.assert_array_equal(mirrored[3:], drawings[:, :, :, ::-1])
    # The four turns of both are the eight symmetries of a square.
    forms = omniglot.with_rotations(mirrored)[[0, 3, 6, 9, 12, 15, 18, 21], 0, :, :, 0]
    square = drawings[0, 0, :, :, 0]
    expected = [np.rot90(form, turns) for form in (square, square.T) for turns in range(4)]
    assert {form.tobytes() for form in forms} == {form.tobytes() for form in expected}


def area_mean(ink):
    """Shrinks an image of 105 × 105 to 28 × 28: each pixel is the mean over its area."""
    edges = np.arange(29) * 105 / 28
    low = np.maximum(edges[:-1, np.newaxis], np.arange(105))
    high = np.minimum(edges[1:, np.newaxis], np.arange(105) + 1)
    share = np.maximum(high - low, 0) * 28 / 105
    return share @ ink @ share.T


def test_drawings_are_shrunk_and_have_ink_255(omniglot_drawings):
    drawings = omniglot_drawings
    assert drawings.shape == (1623, 8, 28, 28, 1) and drawings.dtype == np.uint8
    for label in (0, 1, 963, 964, 1622):  # The last of one file and the first of the other.
        for number, ink in enumerate(synthetic_omniglot.drawings(label)):
            found = drawings[label, number, :, :, 0].astype(int)
            assert np.abs(found - 255 * area_mean(ink)).max() <= 1
            assert found.max() > 200 and np.median(found) == 0


def family_from_flags(monkeypatch, drawings, splits, *arguments):
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
    settings = run_flags.parse(["--task=omniglot", "--shots=1", "--queries=1", *arguments])
    return omniglot.from_flags(settings, splits)


def numbered_drawings():
    """Images of one colour for each character: its number in the pixels' two top bytes."""
    numbers = np.arange(1623)
    images = np.zeros([1623, 20, 4, 4, 1], np.uint8)
    images[:, :, :2] = (numbers // 256)[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
    images[:, :, 2:] = (numbers % 256)[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
    return images


def characters_of(family, split):
    """Returns the numbers of the upright characters among a split's classes."""
    images = family._images[split].images.numpy()[::20].astype(int)
    return images[:, 0, 0, 0] * 256 + images[:, -1, 0, 0]


def test_training_holds_no_test_images(monkeypatch):
    family = family_from_flags(monkeypatch, numbered_drawings(), ("train", "validation"))
    split = omniglot.split_characters(0)
    assert set(family._images) == {"train", "validation"}
    np.testing.assert_array_equal(characters_of(family, "train")[:1100], split["train"])
    np.testing.assert_array_equal(characters_of(family, "validation"), split["validation"])
    with pytest.raises(KeyError):
        family.episode(stream(0, "test"), "test")


def test_only_training_classes_are_rotated(monkeypatch, omniglot_drawings):
    drawings = omniglot_drawings
    family = family_from_flags(monkeypatch, drawings, ("train", "validation", "test"))
    counts = {split: images.counts for split, images in family._images.items()}
    assert counts == {"train": (8,) * 4400, "validation": (8,) * 100, "test": (8,) * 423}
    character = omniglot.split_characters(0)["train"][7]
    for turns in range(4):
        np.testing.assert_array_equal(
            family._images["train"].images[8 * (1100 * turns + 7) + 3, :, :, 0],
            np.rot90(drawings[character, 3, :, :, 0], turns),
        )


def test_only_training_has_more_variety(monkeypatch, omniglot_drawings):
    splits = ("train", "validation")
    plain, mirrored, distorted = (
        family_from_flags(monkeypatch, omniglot_drawings, splits, *flags)
        for flags in (
            [],
            ["--reflections"],
            ["--class_distortion=0.5", "--drawing_distortion=0.1", "--stroke_width=0.3"],
        )
    )
    assert [len(family.class_names("train")) for family in (plain, mirrored)] == [4400, 8800]
    assert len(mirrored.class_names("validation")) == 100
    for split, changed in (("train", True), ("validation", False)):
        seed = stream(0, split)
        one, other = (family.episode(seed, split) for family in (plain, distorted))
        differ = [not np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
        assert differ == [changed, False, changed, False]
        assert other.query_inputs.numpy().min() >= 0 and other.query_inputs.numpy().max() <= 1


def test_a_task_of_training_may_have_alphabets_one_after_the_other():
    groups = np.array(["a", "b", "c", "b", "a", "b", "c"])
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1, 1).repeat(3, axis=1)
    held = {"train": images, "validation": images}
    family = omniglot.Omniglot(held, 4, 1, 1, together=groups)
    met, sizes = set(), {"a": 2, "b": 3, "c": 2}
    for number in range(200):
        classes = family._classes(stream(number, "train"), "train", 4).numpy()
        assert len(set(classes)) == 4
        of_task = list(groups[classes])
        first, *others = dict.fromkeys(of_task)
        assert of_task[: sizes[first]] == [first] * sizes[first]
        assert of_task.count(others[0]) == min(4 - sizes[first], sizes[others[0]])
        met.add(tuple(classes))
    # Every order of alphabets, and of the characters of each: b first leaves one of a or c.
    of_b_first = 3 * 2 * 1 * (2 + 2)
    of_others = 2 * (2 * 3 * 2 + 2 * 2)
    assert len(met) > 0.8 * (of_b_first + of_others)
    validation = [family._classes(stream(n, "validation"), "validation", 4) for n in range(50)]
    assert any(
        len(set(groups[classes])) == 3
        and groups[classes[0]] == groups[classes[2]]
        and groups[classes[0]] != groups[classes[1]]
        for classes in validation
    )


def test_flags_choose_the_split_and_the_sizes(monkeypatch):
    flags = ["--split_seed=4", "--ways=7", "--shots=2", "--queries=3"]
    family = family_from_flags(monkeypatch, numbered_drawings(), ("test",), *flags)
    expected = omniglot.split_characters(4)["test"]
    np.testing.assert_array_equal(characters_of(family, "test"), expected)
    assert (family.ways, family.output_size, family.shots, family.queries) == (7, 7, 2, 3)
    assert family.input_shape == (4, 4, 1)


def test_the_real_drawings_are_all_there(real_omniglot_dir):
    drawings = omniglot.load_drawings(real_omniglot_dir)
    assert drawings.shape == (1623, 20, 28, 28, 1) and drawings.dtype == np.uint8
    ink = drawings.mean((2, 3, 4))
    assert ink.min() > 0 and ink.max() < 90  # Lines on empty paper.
    assert drawings.max() == 255
    # Drawings of one character are more alike than those of the next character.
    blurred = drawings.reshape(1623, 20, 7, 4, 7, 4).mean((3, 5))
    own = np.abs(blurred[:, 0] - blurred[:, 1]).mean()
    next_one = np.abs(blurred[:-1, 0] - blurred[1:, 1]).mean()
    assert own < 0.85 * next_one


ZIPS = {
    "images_background.zip": 9_464_212,
    "images_background_small1.zip": 1_319_022,
    "images_background_small2.zip": 1_580_917,
    "images_evaluation.zip": 6_462_886,
}


def put_zips(data_dir, names):
    """Makes files of the zips' names and sizes, which hold nothing."""
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in names:
        (manual / name).touch()
        os.truncate(manual / name, ZIPS[name])
    return manual


def test_some_of_the_zips_do_not_make_up_for_a_network(tmp_path, monkeypatch):
    def no_network(url, timeout):
        raise requests.ConnectionError(url)

    monkeypatch.setattr(requests, "head", no_network)
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", lambda *_: pytest.fail("tried")
    )
    manual = put_zips(tmp_path, list(ZIPS)[:1])
    with pytest.raises(InputError) as info:
        omniglot.load_drawings(str(tmp_path))
    assert str(info.value).endswith(
        f"or put Omniglot's four zips into {manual}, which lacks images_background_small1.zip, "
        "images_background_small2.zip, images_evaluation.zip"
    )


def test_zips_that_hold_something_else_are_named(tmp_path):
    manual = put_zips(tmp_path, ZIPS)
    with pytest.raises(InputError, match=f"downloaded to {manual}/images_.*, has wrong checksum"):
        omniglot.load_drawings(str(tmp_path))


@pytest.mark.parametrize(
    ("size", "reason"), [(None, "No such file or"), (0, "expected to contain"), (99_999, "record")]
)
def test_damaged_drawings_are_one_sentence(omniglot_dir, tmp_path, size, reason):
    shutil.copytree(omniglot_dir, tmp_path, dirs_exist_ok=True)
    (path,) = tmp_path.rglob("omniglot-test.tfrecord*")
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    with pytest.raises(InputError) as info:
        omniglot.load_drawings(str(tmp_path))
    start = f"data_dir={tmp_path}: the data set in {tmp_path}/omniglot/3.0.0 is damaged ("
    assert str(info.value).startswith(start) and reason in str(info.value)
    assert "\n" not in str(info.value)


def test_a_damaged_description_is_one_sentence(tmp_path):
    (tmp_path / "omniglot" / "3.0.0").mkdir(parents=True)
    (tmp_path / "omniglot" / "3.0.0" / "dataset_info.json").write_text("{", encoding="utf-8")
    (tmp_path / "omniglot" / "3.0.0" / "omniglot-train.tfrecord-00000-of-00001").touch()
    with pytest.raises(InputError, match=f"the data set in {tmp_path}/omniglot is damaged"):
        omniglot.load_drawings(str(tmp_path))
