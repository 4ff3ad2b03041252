"""Which algorithms can be compared in which cells, and the flagfiles that say how."""

import re

import pytest
from absl import flags

from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.published import CELLS
from metasgd_tf.reproduction.systems import compared
from tests.metasgd_tf.shell import assert_refused, command


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """Flagfiles of some algorithms in some cells."""
    for name in (
        "omniglot_5way1shot_maml",
        "omniglot_5way1shot_maml_1step",
        "omniglot_5way1shot_meta_sgd",
        "omniglot_20way1shot_meta_sgd",
        "sinusoid_5shot_maml",
        "sinusoid_10shot_meta_sgd",
        "sinusoid_5shot_meta_sgd",
        "sinusoid_20shot_meta_sgd",
    ):
        (tmp_path / f"{name}.flags").write_text("", encoding="utf-8")
    monkeypatch.setattr(run_flags, "CONFIGS", tmp_path)


def test_all_are_those_with_a_flagfile_for_the_cell(configs):
    assert compared.chosen(2, ["all"], ["5way1shot", "20way1shot", "20way5shot"]) == {
        "5way1shot": ["meta_sgd", "maml"],
        "20way1shot": ["meta_sgd"],
        "20way5shot": [],
    }
    assert compared.chosen(1, ["all"], ["5shot"]) == {"5shot": ["meta_sgd", "maml"]}


def test_meta_sgd_which_others_are_compared_with_comes_first(configs):
    assert compared.chosen(2, ["maml", "meta_sgd"], ["5way1shot"]) == {
        "5way1shot": ["meta_sgd", "maml"]
    }
    assert next(iter(ALGORITHMS)) == "meta_sgd"


@pytest.mark.parametrize(
    ("number", "asked", "cells", "said"),
    [
        (2, "", list(CELLS), "algorithms=: names none; should be all, or some of meta_sgd,"),
        (2, "nets", list(CELLS), "algorithms=nets: there is no 'nets'; should be all, or some of"),
        (2, "maml,maml", ["5way1shot"], "algorithms=maml,maml: names maml twice"),
        (2, "maml,all", ["5way1shot"], "algorithms=maml,all: all should stand alone"),
        (
            2,
            "meta_sgd,maml",
            ["5way1shot", "20way1shot"],
            "algorithms=maml: has no flagfile configs/omniglot_20way1shot_maml.flags; leave it "
            "out, or ask for --cells=5way1shot",
        ),
        (
            2,
            "anil",
            ["5way1shot"],
            "algorithms=anil: has no flagfile configs/omniglot_5way1shot_anil.flags; should be "
            "some of meta_sgd,maml",
        ),
        # Table 1 has no --cells to ask for.
        (
            1,
            "maml",
            ["5shot", "10shot", "20shot"],
            "algorithms=maml: has no flagfile configs/sinusoid_10shot_maml.flags; should be some "
            "of meta_sgd",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(configs, number, asked, cells, said):
    with pytest.raises(flags.ValidationError) as refused:
        compared.chosen(number, [name for name in asked.split(",") if name], cells)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table=2", "--algorithms="], "algorithms=: names none"),
        (["--table=3", "--algorithms=maml,nets"], "algorithms=maml,nets: there is no 'nets'"),
        (["--table=2", "--algorithms=layer_rates"], "algorithms=layer_rates: has no flagfile"),
        (["--table=4", "--algorithms=maml"], "table 4 compares no other algorithms"),
        (["--write_docs", "--algorithms=maml"], "--write_docs takes neither"),
    ],
)
def test_the_command_refuses_it_in_one_sentence(arguments, said):
    assert said in assert_refused(command("reproduce", *arguments))


PATHS = [
    path
    for path in sorted(run_flags.CONFIGS.glob("*.flags"))
    if path.stem.startswith(tuple(compared.TASKS.values()))
]


MANY_WAYS = ("100way1shot", "423way1shot")
"""Cells of no table, which `docs/scaling.md` is about."""


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_flagfile_trains_what_its_name_says(path):
    resolved = run_flags.of_config(path.stem)
    (number,) = (n for n, task in compared.TASKS.items() if path.stem.startswith(task))
    cell, algorithm = re.fullmatch(
        rf"{compared.TASKS[number]}_([0-9a-z]+)_(.*?)(?:_1step|_recipe)?", path.stem
    ).groups()
    assert (resolved.task, resolved.algorithm) == (compared.TASKS[number], algorithm)
    sizes = [int(size) for size in re.findall(r"\d+", cell)]
    if "way" in cell:
        assert cell in (*compared.cells(number), *(MANY_WAYS if number == 2 else ()))
        assert sizes == [resolved.ways, resolved.shots]
    else:
        assert sizes == [resolved.shots]
        # Where the ways are no part of the name, training does not depend on them.
        assert number == 1 or resolved.train_ways is not None
    # Learners are compared on identical tasks and by one seed.
    assert (resolved.seed, resolved.split_seed, resolved.fixed_frequency) == (0, 0, False)
