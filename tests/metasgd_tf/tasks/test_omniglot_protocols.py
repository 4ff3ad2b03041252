"""Omniglot's named splits and protocols, on drawings that say which character they are of."""

import json

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.comparison import load_other
from metasgd_tf.evaluation.reports import table, write
from metasgd_tf.evaluation.trained_runs import evaluate, load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.images import alphabets
from metasgd_tf.tasks import omniglot
from tests import synthetic_omniglot
from tests.metasgd_tf.evaluation.test_comparison import save_untrained
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, stream

NAMES = synthetic_omniglot.ALPHABETS.astype(str)
CORNERS = [(0, 0), (-1, 0), (-1, -1), (0, -1)]
"""Where the marked corner is after each number of turns."""


@pytest.fixture(autouse=True)
def data(monkeypatch):
    """Stands in for the data: a drawing has its label beside the middle, and a marked corner."""
    drawings = np.zeros([1623, 20, 28, 28, 1], np.uint8)
    drawings[:, :, 0, 0] = 255
    drawings[:, :, 9, 9, 0] = np.arange(1623)[:, np.newaxis] // 256
    drawings[:, :, 9, 10, 0] = np.arange(1623)[:, np.newaxis] % 256
    drawings[:, :, 9, 11, 0] = np.arange(20)
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
    monkeypatch.setattr(alphabets, "load_alphabets", lambda data_dir: NAMES)


def family_of(*arguments, splits=("test",), shots=1):
    settings = run_flags.parse(["--task=omniglot", f"--shots={shots}", "--queries=1", *arguments])
    return omniglot.from_flags(settings, splits)


def read(inputs):
    """Returns of each image [N, 28, 28, 1] its label, its number and its turns."""
    found = []
    for image in np.rint(inputs.numpy()[..., 0] * 255).astype(int):
        turns = next(n for n, corner in enumerate(CORNERS) if image[corner])
        high, low, number = np.rot90(image, -turns)[9, 9:12]
        found.append((256 * high + low, number, turns))
    return np.array(found)


def tasks_of(family, count=40, split="test"):
    """Yields the labels, the turns and the number of queries of each class of some tasks."""
    shots = family.shots

    @tf.function
    def draw(number):
        protocol = Protocol(shots, count, 1)
        return family.evaluation_episode(stream(0, split), split, protocol, number, tf.constant(0))

    for number in range(count):
        episode = draw(tf.constant(number))
        support, query = read(episode.support_inputs), read(episode.query_inputs)
        assert not set(map(tuple, support)) & set(map(tuple, query))
        queries = len(query) // family.ways
        for drawings, images in ((support, shots), (query, queries)):
            of_class = drawings.reshape(family.ways, images, 3)
            assert (of_class[:, :1, [0, 2]] == of_class[:, :, [0, 2]]).all()
        classes = support.reshape(family.ways, shots, 3)[:, 0]
        np.testing.assert_array_equal(
            query.reshape(family.ways, queries, 3)[:, 0, 0], classes[:, 0]
        )
        assert len(set(classes[:, 0])) == family.ways
        yield classes[:, 0], classes[:, 2], queries


@pytest.mark.parametrize("split", ["characters", "lake"])
def test_whole_alphabets_of_training_are_turned_alike(split):
    flags = ("--whole_alphabets", f"--split={split}", "--ways=90")
    family = family_of(*flags, splits=("train", "validation"))
    characters = family._images["train"].images.numpy()[::20, 9, 9:11, 0].astype(int) @ [256, 1]
    # Without turns the first quarter of the classes has the characters where they were put.
    counted = np.unique(NAMES[characters[: len(characters) // 4]], return_counts=True)
    size_of = dict(zip(*counted, strict=True))
    for number in range(20):
        episode = family.episode(stream(number, "train"), "train")
        labels, _, turns = read(episode.support_inputs).T
        pairs = list(zip(NAMES[labels], turns, strict=True))
        *whole, _ = groups = list(dict.fromkeys(pairs))
        assert pairs == [group for group in groups for _ in range(pairs.count(group))]
        assert all(pairs.count((name, turn)) == size_of[name] for name, turn in whole)
    labels, _, _ = next(tasks_of(family, 1, "validation"))
    assert len(set(NAMES[labels])) > 2


def test_the_standard_protocol_has_upright_characters():
    family = family_of("--ways=20")
    assert family.protocol_name == "standard"
    for labels, turns, queries in tasks_of(family, 5):
        assert set(labels) <= set(omniglot.split_characters(0)["test"])
        assert not turns.any() and queries == 15


def test_lakes_split_is_what_the_family_holds():
    family = family_of("--split=lake", "--ways=20", splits=("train", "validation", "test"))
    split = alphabets.lake_split(NAMES, 100, 0)
    counts = {name: len(family.class_names(name)) for name in split}
    assert counts == {
        "train": 4 * len(split["train"]),
        "validation": len(split["validation"]),
        "test": 659,
    }
    for name in ("validation", "test"):
        for labels, turns, _ in tasks_of(family, 3, name):
            assert set(labels) <= set(split[name]) and not turns.any()
    labels, _, turns = read(family.episode(stream(0, "train"), "train").support_inputs).T
    assert set(labels) <= set(split["train"]) and turns.any()


def test_tasks_within_an_alphabet_have_characters_of_one():
    family = family_of("--split=lake", "--within_alphabet", "--ways=32")
    assert family.protocol_name == "within_alphabet"
    seen = set()
    for labels, turns, queries in tasks_of(family):
        (name,) = set(NAMES[labels])
        assert labels.min() >= 964 and not turns.any() and queries == 15
        seen.add(name)
    too_small = {"30", "49"}  # Of 20 and of 31 characters.
    assert len(seen) > 12 and not seen & too_small


def test_within_an_alphabet_the_named_classes_are_those_drawn():
    family = family_of("--split=lake", "--within_alphabet", "--ways=5")
    named = family.evaluation_classes(stream(0, "test"), "test", tf.constant(3))
    (*_, (labels, _, _)) = tasks_of(family, 4)
    np.testing.assert_array_equal(named + 964, labels)


def test_an_alphabet_that_is_too_small_for_the_ways_is_one_sentence():
    with pytest.raises(InputError, match="ways=20: no alphabet of the test split has more than"):
        family_of("--within_alphabet", "--ways=20")


@pytest.mark.parametrize("shots", [1, 5])
def test_mamls_protocol_turns_characters_and_has_as_many_queries_as_shots(shots):
    family = family_of("--protocol=maml", "--ways=20", shots=shots)
    assert family.protocol_name == "maml"
    turned = []
    for labels, turns, queries in tasks_of(family, 30):
        assert set(labels) <= set(omniglot.split_characters(0)["test"]) and queries == shots
        turned += list(turns)
    # Five standard deviations of a binomial count.
    assert np.abs(np.bincount(turned) - 150).max() < 5 * np.sqrt(600 * 3 / 16)


def test_both_at_once_are_named_so():
    family = family_of("--protocol=maml", "--within_alphabet", "--split=lake", "--ways=20")
    assert family.protocol_name == "maml_within_alphabet"
    for labels, turns, queries in tasks_of(family, 5):
        assert len(set(NAMES[labels])) == 1 and len(set(turns)) > 1 and queries == 1


def test_training_is_the_same_by_every_protocol():
    plain, other = (
        family_of("--split=lake", *arguments, splits=("train", "validation"))
        for arguments in ([], ["--protocol=maml", "--within_alphabet"])
    )
    for part, same in zip(
        *(family.episode(stream(1, "train"), "train") for family in (plain, other)), strict=True
    ):
        np.testing.assert_array_equal(part, same)


def test_a_protocols_results_lie_beside_the_usual_ones(tmp_path):
    flags = ["--task=omniglot", "--ways=3", "--shots=1", "--queries=1", "--split=lake"]
    flags.append("--model=tests.fast_network:network")
    for name in ("one", "two"):
        save_untrained(run_flags.parse(flags), str(tmp_path / name))
    for other_task in (None, {"protocol": "maml"}, {"within_alphabet": True}):
        run = load_run(str(tmp_path / "one"), other_task=other_task)
        load_other(run, str(tmp_path / "two"), other_task)
        evaluated = evaluate(run, num_tasks=2)
        write(run.model_dir, evaluated)
        assert evaluated.report["task"] == "omniglot, Lake's split"
        assert evaluated.report["cross_domain"] is False
        title = table(evaluated.report).splitlines()[0]
        assert ("protocol" in title) == (other_task is not None)
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["protocol"]
        for path in (tmp_path / "one").glob("*.json")
    }
    assert found == {
        "evaluation": "standard",
        "evaluation_maml": "maml",
        "evaluation_within_alphabet": "within_alphabet",
    }
    assert (tmp_path / "one" / "evaluation_maml.csv").exists()


def test_runs_of_other_splits_are_not_compared(tmp_path):
    flags = ["--task=omniglot", "--ways=3", "--shots=1", "--queries=1"]
    flags.append("--model=tests.fast_network:network")
    save_untrained(run_flags.parse(flags), str(tmp_path / "plain"))
    save_untrained(run_flags.parse([*flags, "--split=lake"]), str(tmp_path / "lake"))
    run = load_run(str(tmp_path / "plain"))
    with pytest.raises(InputError, match="--split=lake instead of characters"):
        load_other(run, str(tmp_path / "lake"))


def test_a_seed_decides_about_alphabets_and_turns():
    family = family_of("--protocol=maml", "--within_alphabet", "--split=lake", "--ways=20")
    one, same, other = (
        family._classes(fold_in(stream(0, "test"), number), "test", 20) for number in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert set(one.numpy()) != set(other.numpy())
