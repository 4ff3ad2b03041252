"""A folder of images as a family of tasks, from flags to a trained and evaluated learner."""

import csv

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks import image_folder
from tests import synthetic_folder
from tests.metasgd_tf.shell import SMALL
from trainers.errors import InputError
from trainers.seeds import SPLITS, stream

COUNTS = {f"kind {letter}": 6 + 5 * number % 7 for number, letter in enumerate("abcdefghijkl")}
SIZES = ["--ways=3", "--shots=1", "--queries=2", "--image_size=16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    synthetic_folder.write(path, COUNTS)
    return path


def family(folder, *arguments, splits=SPLITS):
    settings = run_flags.parse(["--task=image_folder", f"--image_dir={folder}", *SIZES, *arguments])
    return image_folder.from_flags(settings, splits)


def test_each_split_has_its_classes_with_all_their_images(folder):
    held = family(folder)._images
    names = {split: held[split].names for split in SPLITS}
    assert {split: len(names[split]) for split in SPLITS} == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }
    assert sorted(sum(names.values(), ())) == list(COUNTS)
    for images in held.values():
        assert images.counts == tuple(COUNTS[name] for name in images.names)
        assert images.images.shape == (sum(images.counts), 16, 16, 3)


def test_images_are_those_of_their_class(folder):
    for images in family(folder, "--image_size=18")._images.values():
        start = 0
        for name, count in zip(images.names, images.counts, strict=True):
            made = synthetic_folder.images(list(COUNTS).index(name), count)
            found = images.images[start : start + count].numpy()
            # Resizing keeps the mean of each; there are fewer than ten, as 10 comes before 2.
            order = sorted(range(count), key=str)
            expected = made[order].mean((1, 2))
            np.testing.assert_allclose(found.mean((1, 2)), expected, atol=2)
            start += count


def test_flags_choose_size_channels_and_split(folder):
    made = family(folder, "--image_size=10", "--image_channels=1", "--split_seed=1")
    assert made.input_shape == (10, 10, 1) == made.model(0).input_shape[1:]
    assert made._images["test"].names != family(folder)._images["test"].names


def test_a_file_divides_the_classes(folder, tmp_path):
    path = tmp_path / "splits.csv"
    rows = [f"kind {letter},{'train' if letter < 'f' else 'test'}" for letter in "abcdefgh"]
    path.write_text("\n".join(["class,split", *rows]), encoding="utf-8")
    held = family(folder, f"--class_splits={path}", splits=("train", "test"))._images
    assert held["train"].names == tuple(f"kind {letter}" for letter in "abcde")
    assert held["test"].names == tuple(f"kind {letter}" for letter in "fgh")
    with pytest.raises(InputError, match="ways=3: the validation split has 0 classes"):
        family(folder, f"--class_splits={path}")


def as_split_folder(root, classes_of, suffix="png"):
    """Writes classes "kind a" and so on to the folder of their split."""
    synthetic_folder.write(root / "all", COUNTS)
    for part, letters in classes_of.items():
        (root / "split" / part).mkdir(parents=True)
        for letter in letters:
            (root / "all" / f"kind {letter}").rename(root / "split" / part / f"kind {letter}")
    for path in [] if suffix == "png" else list((root / "split").rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(f".{suffix}"), lossless=True)
        path.unlink()
    return root / "split"


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_folders_of_splits_are_taken_as_the_split(tmp_path, capsys, suffix):
    root = as_split_folder(tmp_path, {"train": "lbc", "val": "def", "test": "aghi"}, suffix)
    (root / "train" / "kind b" / "notes.txt").write_text("no image", encoding="utf-8")
    made = family(root, "--image_size=18")
    said = capsys.readouterr().err
    assert said.count("train/kind b/notes.txt") == 1
    assert f"images of {root}, split as its folders are\n" in said
    for split, letters in {"train": "bcl", "validation": "def", "test": "aghi"}.items():
        names = tuple(f"kind {letter}" for letter in letters)
        assert made.class_names(split) == names
        assert made._images[split].counts == tuple(COUNTS[name] for name in names)
        start = 0
        for name in names:
            pixels = synthetic_folder.images(list(COUNTS).index(name), COUNTS[name])
            pixels = pixels[sorted(range(len(pixels)), key=str)]
            found = made._images[split].images[start : start + COUNTS[name]].numpy()
            np.testing.assert_allclose(found.mean((1, 2)), pixels.mean((1, 2)), atol=2)
            start += COUNTS[name]


def test_a_split_without_a_folder_is_missed_where_it_is_needed(tmp_path):
    root = as_split_folder(tmp_path, {"train": "abc", "test": "def"})
    assert family(root, splits=("test",)).class_names("test") == ("kind d", "kind e", "kind f")
    message = (
        rf"^image_dir={root}: has folders .* \(train, test\), but no val or validation folder,"
    )
    with pytest.raises(InputError, match=message):
        family(root, splits=("train", "validation"))


def test_a_file_does_not_divide_what_folders_divide(tmp_path):
    root = as_split_folder(tmp_path, {"train": "abc", "test": "def"})
    message = (
        rf"^class_splits=a.csv: image_dir={root} is split by .* \(train, test\); give it empty"
    )
    with pytest.raises(InputError, match=message):
        family(root, "--class_splits=a.csv", splits=("test",))
    assert family(root, "--class_splits=", splits=("test",)).class_names("test")


def test_a_split_of_too_few_classes_is_named(tmp_path):
    root = as_split_folder(tmp_path, {"train": "abcd", "val": "e", "test": ""})
    with pytest.raises(InputError, match="^ways=3: the validation split has 1 class;"):
        family(root, splits=("train", "validation"))
    with pytest.raises(InputError, match="^ways=3: the test split has 0 classes;"):
        family(root, splits=("test",))


def test_the_same_images_give_the_same_tasks_wherever_they_lie(folder, tmp_path):
    synthetic_folder.write(tmp_path, dict(reversed(COUNTS.items())))
    for number, name in enumerate(COUNTS):  # As `folder` has them, in another order of writing.
        for path in sorted((tmp_path / name).iterdir(), reverse=True):
            path.unlink()
        for path in sorted((folder / name).iterdir(), reverse=number % 2 == 0):
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    for split in SPLITS:
        one, other = (family(root).episode(stream(4, split), split) for root in (folder, tmp_path))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_images_of_other_splits_are_not_opened(tmp_path):
    synthetic_folder.write(tmp_path, COUNTS)
    (tmp_path / family(tmp_path)._images["test"].names[0] / "bad.png").write_bytes(b"bad")
    family(tmp_path, splits=("train", "validation"))
    with pytest.raises(InputError, match=f"image_dir={tmp_path}: .*/bad.png"):
        family(tmp_path, splits=("test",))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--ways=5"], "ways=5: image_dir=.* has 12 classes, too few for 5 each"),
        (["--shots=4", "--queries=5"], r"shots=4 and queries=5: .*needs 9 .*kind \w \(\d images"),
        (["--class_splits=gone.csv"], "class_splits=gone.csv: cannot be read"),
        (["--image_dir=gone"], "image_dir=gone: .*No such file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read_or_written(
    folder, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.setattr("metasgd_tf.images.files.image_files.decode", lambda *_: 1 / 0)
    settings = run_flags.parse(["--task=image_folder", f"--image_dir={folder}", *SIZES, *arguments])
    with pytest.raises(InputError, match=named):
        train_run(settings, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_flag_that_is_missing_is_named():
    with pytest.raises(InputError, match="^image_dir: --task=image_folder needs it; .*sub-folder"):
        image_folder.from_flags(run_flags.parse(["--task=image_folder"]), SPLITS)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    # Scores on both splits come from one graph, and their tasks differ in size.
    held = family(folder, "--split_seed=1", splits=("train", "validation"))._images
    assert min(held["train"].counts) != min(held["validation"].counts)
    path = tmp_path_factory.mktemp("run")
    flags = ["--task=image_folder", f"--image_dir={folder}", *SIZES, "--split_seed=1"]
    chosen = ["--alpha_init=0.05", "--iterations=20"]
    train_run(run_flags.parse([*SMALL, *flags, *chosen]), str(path))
    return path


def test_a_learner_is_evaluated_on_classes_it_was_not_trained_on(folder, trained, capsys):
    report, per_task = evaluate_run(str(trained), num_tasks=120)
    test = family(folder, "--split_seed=1", splits=("test",))._images["test"]
    assert f"note: reading {sum(test.counts)} images of {folder}" in capsys.readouterr().err
    before, after = (row["mean"] for row in report["results"])
    assert 0.2 < before < 0.5 < 0.6 < after  # Three classes, told apart by their colours.
    # Before adaptation a hundred tasks are scored.
    accuracy = per_task[1]["accuracy"]
    assert [row["num_tasks"] for row in report["results"]] == [100, 120]
    assert before == pytest.approx(accuracy[:100, 0].mean(), rel=1e-6)
    assert after == pytest.approx(accuracy[:, 1].mean(), rel=1e-6)
    assert np.isnan(accuracy).sum() == 20
    with (trained / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["task"]), int(row["inner_steps"])) for row in rows] == [
        (task, step) for task in range(120) for step in (0, 1) if step or task < 100
    ]
    right = np.array([float(row["accuracy"]) for row in rows]) * 3 * (min(test.counts) - 1)
    np.testing.assert_allclose(right, np.rint(right), atol=1e-3)


def test_a_learner_is_evaluated_on_another_folder(trained, tmp_path, capsys):
    synthetic_folder.write(tmp_path / "other", {f"new {n}": 4 for n in range(4)})
    path = tmp_path / "all.csv"
    path.write_text("class,split\n" + "".join(f"new {n},test\n" for n in range(4)))
    other = {"image_dir": str(tmp_path / "other"), "class_splits": str(path)}
    _, per_task = evaluate_run(str(trained), num_tasks=101, inner_steps=0, other_task=other)
    assert f"note: reading 16 images of {tmp_path / 'other'}" in capsys.readouterr().err
    assert per_task[1]["accuracy"].shape == (101, 1)
    assert np.isfinite(per_task[1]["accuracy"]).all()
