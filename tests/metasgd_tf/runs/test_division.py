"""A run keeps which classes it was trained on, whatever becomes of the folder or the flags."""

import csv
import pathlib
import shutil

import pytest

from metasgd_tf.evaluation import comparison
from metasgd_tf.evaluation.trained_runs import load_run, task_name
from metasgd_tf.flags import run_flags
from metasgd_tf.images import class_splits
from metasgd_tf.runs import division
from metasgd_tf.runs.training import train_run
from tests import synthetic_folder
from trainers.errors import InputError

NAMES = [f"kind {number:02}" for number in range(20)]
FLAGS = [
    "--task=image_folder",
    "--shots=1",
    "--queries=2",
    "--image_size=8",
    "--model=tests.fast_network:network",
    "--algorithm=prototypical_nets",
    "--meta_batch_size=1",
]


def settings_of(folder, *more):
    return run_flags.parse([*FLAGS, "--ways=2", "--iterations=1", f"--image_dir={folder}", *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs on one folder of 20 classes, of 2 and of 4 ways."""
    path = tmp_path_factory.mktemp("division")
    synthetic_folder.write(path / "images", dict.fromkeys(NAMES, 5))
    train_run(settings_of(path / "images"), str(path / "two"))
    train_run(settings_of(path / "images", "--ways=4"), str(path / "four"))
    return path


@pytest.fixture
def path(made, tmp_path):
    """A copy of the folder and of the run of 2 ways, whose flags name the copy."""
    shutil.copytree(made / "images", tmp_path / "images")
    shutil.copytree(made / "two", tmp_path / "two")
    run_flags.write(run_flags.resolve(settings_of(tmp_path / "images")), str(tmp_path / "two"))
    return tmp_path


def classes_of(run, **other_task):
    return list(load_run(str(run), other_task=other_task).family.class_names("test"))


def test_a_run_keeps_the_classes_of_each_split(made):
    with open(made / "two" / "classes.csv", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["class", "split"] and sorted(name for name, _ in rows) == NAMES
    # 20 % of 20 classes are 4 and 16 % are 3, as many as or more than the ways.
    splits = [split for _, split in rows]
    assert [splits.count(split) for split in ("train", "validation", "test")] == [13, 3, 4]
    drawn = class_splits.drawn(NAMES, 0, 2, "a folder")
    assert division.recorded(str(made / "two")) == {n: s for s in drawn for n in drawn[s]}


def test_a_class_that_was_added_changes_no_split(path):
    before = division.recorded(str(path / "two"))
    shutil.copytree(path / "images" / NAMES[0], path / "images" / "a new one")
    anew = class_splits.drawn(["a new one", *NAMES], 0, 2, "a folder")
    assert any(before.get(name) == "train" for name in anew["test"])

    assert classes_of(path / "two") == [name for name in NAMES if before[name] == "test"]
    train_run(settings_of(path / "images", "--iterations=2"), str(path / "two"))
    assert division.recorded(str(path / "two")) == before


def test_a_learner_that_draws_alpha_keeps_its_classes_too(path):
    def settings(iterations):
        more = [f"--iterations={iterations}", "--algorithm=meta_sgd"]
        return settings_of(path / "images", *more)

    train_run(settings(1), str(path / "drawn"))
    before = division.recorded(str(path / "drawn"))
    shutil.copytree(path / "images" / NAMES[0], path / "images" / "a new one")
    for iterations in (2, 2):
        train_run(settings(iterations), str(path / "drawn"))
        assert division.recorded(str(path / "drawn")) == before


def test_a_run_with_other_flags_has_its_own_division(path):
    directory = path / "two"
    shutil.rmtree(directory / "checkpoints")
    shutil.rmtree(directory / "best", ignore_errors=True)
    train_run(settings_of(path / "images", "--split_seed=1"), str(directory))
    drawn = class_splits.drawn(NAMES, 1, 2, "a folder")
    assert division.recorded(str(directory)) == {n: s for s in drawn for n in drawn[s]}


def test_the_folder_may_be_written_otherwise_or_moved(path):
    own = classes_of(path / "two")
    (path / "link").symlink_to(path / "images")
    assert classes_of(path / "two", image_dir=str(path / "link"), ways=4) == own
    loaded = load_run(str(path / "two"), other_task={"image_dir": str(path / "link")})
    assert task_name(loaded.settings) == loaded.trained_on
    (path / "link").unlink()
    (path / "images").rename(path / "moved")
    assert classes_of(path / "two", image_dir=str(path / "moved"), ways=4) == own


def test_another_folder_is_divided_by_chance_whatever_file_divided_the_first(path):
    file = path / "splits.csv"
    class_splits.write(file, {"train": NAMES[:8], "validation": NAMES[8:12], "test": NAMES[12:]})
    given = settings_of(path / "images", f"--class_splits={file}")
    train_run(given, str(path / "divided"))
    assert classes_of(path / "divided") == NAMES[12:]
    others = [f"other {number:02}" for number in range(6)]
    synthetic_folder.write(path / "others", dict.fromkeys(others, 5))
    expected = class_splits.drawn(others, 0, 2, "a folder")["test"]
    for chosen in ({}, {"class_splits": ""}):
        assert classes_of(path / "divided", image_dir=str(path / "others"), **chosen) == expected
    # What the file says now does not matter to the run.
    class_splits.write(file, {"train": NAMES[12:], "validation": NAMES[8:12], "test": NAMES[:8]})
    assert classes_of(path / "divided") == NAMES[12:]


def test_a_file_that_puts_trained_classes_into_the_test_is_refused(path):
    kept = division.recorded(str(path / "two"))
    trained = [name for name in NAMES if kept[name] == "train"]
    file = path / "splits.csv"
    class_splits.write(file, {"train": [], "validation": [], "test": trained[:3]})
    said = rf"class_splits={file}: the test would have classes .* \({', '.join(trained[:3])}\); lea"
    with pytest.raises(InputError, match=said):
        load_run(str(path / "two"), other_task={"class_splits": str(file)})
    left = [name for name in NAMES if kept[name] == "test"][:3]
    class_splits.write(file, {"train": trained, "validation": [], "test": left})
    assert classes_of(path / "two", class_splits=str(file)) == left


def test_a_moved_folder_is_no_way_around_that(path):
    kept = division.recorded(str(path / "two"))
    trained = [name for name in NAMES if kept[name] == "train"]
    (path / "images").rename(path / "moved")
    # One that names all classes, and one that leaves most of them out.
    for others in ([name for name in NAMES if name not in trained[:3]], []):
        file = path / "splits.csv"
        class_splits.write(file, {"train": others, "validation": [], "test": trained[:3]})
        chosen = {"image_dir": str(path / "moved"), "class_splits": str(file)}
        with pytest.raises(InputError, match=rf"class_splits={file}: the test would have classes"):
            load_run(str(path / "two"), other_task=chosen)
    # Some names in common make no folder the run's own.
    synthetic_folder.write(path / "others", dict.fromkeys(trained[:3], 5))
    chosen["image_dir"] = str(path / "others")
    assert classes_of(path / "two", **chosen) == trained[:3]


def test_a_run_is_not_compared_in_a_moved_folder_on_classes_that_it_was_trained_on(path):
    shutil.copytree(path / "two", path / "other")
    splits = division.recorded(str(path / "two"))
    swapped = {"train": "test", "test": "train"}
    class_splits.write(
        path / "other" / "classes.csv",
        {
            split: [name for name in NAMES if swapped.get(splits[name], "validation") == split]
            for split in ("train", "validation", "test")
        },
    )
    (path / "images").rename(path / "moved")
    moved = {"image_dir": str(path / "moved")}
    run = load_run(str(path / "two"), other_task=moved)
    with pytest.raises(InputError, match=f"compare_with={path / 'other'}: the test would have cl"):
        comparison.load_other(run, str(path / "other"), moved)


def test_a_run_is_not_compared_on_classes_that_it_was_trained_on(made):
    four = {"ways": 4}
    first, other = (str(made / name) for name in ("four", "two"))
    kept = division.recorded(other)
    assert any(kept[name] == "train" for name in classes_of(first, **four))
    with pytest.raises(InputError, match=f"compare_with={other}: the test would have classes th"):
        comparison.load_other(load_run(first, other_task=four), other, four)
    assert comparison.load_other(load_run(other, other_task=four), other, four).family.ways == 4


def test_runs_of_before_divisions_were_kept_are_compared_by_their_ways(made, tmp_path):
    for name in ("two", "four"):
        shutil.copytree(made / name, tmp_path / name)
        pathlib.Path(tmp_path / name / "classes.csv").unlink()
    four = {"ways": 4}
    run = load_run(str(tmp_path / "four"), other_task=four)
    with pytest.raises(InputError, match="two: was trained with ways=2, by which .* with 4; name"):
        comparison.load_other(run, str(tmp_path / "two"), four)


def test_runs_on_a_folder_that_divides_itself_are_compared_whatever_their_ways(tmp_path):
    for split, names in (("train", NAMES[:8]), ("val", NAMES[8:12]), ("test", NAMES[12:])):
        synthetic_folder.write(tmp_path / "images" / split, dict.fromkeys(names, 5))
    for ways in (2, 4):
        train_run(settings_of(tmp_path / "images", f"--ways={ways}"), str(tmp_path / f"{ways}"))
        assert division.recorded(str(tmp_path / f"{ways}")) is None
    four = {"ways": 4}
    run = load_run(str(tmp_path / "4"), other_task=four)
    other = comparison.load_other(run, str(tmp_path / "2"), four)
    assert list(other.family.class_names("test")) == NAMES[12:]


def test_a_run_without_classes_keeps_no_division(tmp_path):
    (tmp_path / "classes.csv").write_text("class,split\na,train\n", encoding="utf-8")
    flags = ["--iterations=1", "--meta_batch_size=1", "--shots=1", "--queries=1"]
    train_run(run_flags.parse(["--task=sinusoid", *flags]), str(tmp_path))
    assert not (tmp_path / "classes.csv").exists()
