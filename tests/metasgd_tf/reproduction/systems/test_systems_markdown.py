"""The comparison as Markdown, from rows written by hand, and the figures that were published."""

import pytest

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.published import CELLS
from metasgd_tf.reproduction.systems import published_systems, systems_markdown
from metasgd_tf.reproduction.systems.published_systems import figure


def row(algorithm, learner, mean, *, shots=1, difference=None, **facts):
    return {
        "algorithm": algorithm,
        "learner": learner,
        "shots": shots,
        "mean": mean,
        "ci95": 0.25,
        "num_tasks": 600,
        "repeats": 1,
        "inner_steps": 1,
        "reference_minus_this": difference and {"difference": difference, "ci95": 0.125},
        "config": f"configs/omniglot_5way1shot_{algorithm}.flags",
        "seed": 0,
        "iterations": 60_000,
        "training_seconds": 1234.5,
        "checkpoint": "best",
        "iteration": 5000,
        "batch_norm": None,
        "parameters": 2468,
        "network_parameters": 1234,
        "tasks_per_second": 123.45,
        "device": "CPU, 2 cores",
        "commit": "0123456789",
        "machine": {"processor": "AMD EPYC", "cores": 2},
        **facts,
    }


@pytest.fixture
def table():
    return {
        "table": 2,
        "task": "omniglot",
        "metric": "accuracy",
        "cells": {
            "5way1shot": [
                row("meta_sgd", "Meta-SGD", 99.0, batch_norm="transductive"),
                row(
                    "mann",
                    "MANN",
                    80.0,
                    difference=19.0,
                    device="NVIDIA H100",
                    tasks_per_second=15_678.9,
                ),
                row("layer_rates", "one rate a layer", 98.5, difference=0.5),
            ],
            "20way5shot": [row("mann", "MANN", 70.0, shots=5, tasks_per_second=8.125)],
        },
    }


def test_ours_are_beside_what_was_published(table):
    text = systems_markdown.scores(table).splitlines()
    assert text[0].startswith("| omniglot, accuracy in % | 5-way 1-shot: ours (published) |")
    assert text[2] == (
        "| Meta-SGD | 99.00 ± 0.25 (99.53 ± 0.26) | – (99.93 ± 0.09) | – (95.93 ± 0.38) | "
        "– (98.97 ± 0.19) |"
    )
    (mann,) = (line for line in text if line.startswith("| MANN |"))
    assert mann == "| MANN | 80.00 ± 0.25 (82.8) | – (94.9) | – | 70.00 ± 0.25 |"
    # Nothing was published of it on Omniglot.
    assert "| Meta-LSTM | – | – | – | – |" in text
    # What is no system of the paper's tables comes last, and a difference where there is one.
    assert [line.split(" | ")[0] for line in text[-3:]] == [
        "| one rate a layer",
        "| Meta-SGD − MANN",
        "| Meta-SGD − one rate a layer",
    ]
    assert text[-2].endswith("| +19.00 ± 0.12 | – | – | – |")


def test_what_was_not_trained_is_said_and_not_made_up(table):
    text = systems_markdown.missing(table)
    assert text.startswith("Not trained yet: Meta-SGD (5-way 5-shot, 20-way 1-shot, 20-way 5-shot)")
    assert "; MANN (5-way 5-shot, 20-way 1-shot);" in text
    assert "; ANIL (all); MAML++ (all).\n" in text
    every = {
        cell: [row(name, title, 50.0, shots=shots) for name, title in ROWS.items()]
        for cell, (_, shots) in CELLS.items()
    }
    assert systems_markdown.missing(table | {"cells": every}) == "All have been trained.\n"


ROWS = published_systems.SYSTEMS


def test_costs_and_origins_are_of_each_run(table):
    costs = systems_markdown.costs(table).splitlines()[2:]
    assert costs[0] == ("| 5-way 1-shot | Meta-SGD | 2,468 | 1,234 | 60,000 | 1,234 s | 1 | 123 |")
    assert costs[1].endswith("| 1 | 15,679 |")
    assert costs[3].startswith("| 20-way 5-shot | MANN |") and costs[3].endswith("| 8.12 |")
    runs = systems_markdown.runs(table).splitlines()[2:]
    assert runs[0] == (
        "| 5-way 1-shot | Meta-SGD | `configs/omniglot_5way1shot_meta_sgd.flags` | 0 | "
        "best: iteration 5,000 | transductive | 600 | `0123456` | AMD EPYC, 2 cores |"
    )
    assert runs[1].endswith("| none | 600 | `0123456` | AMD EPYC, 2 cores, NVIDIA H100 |")
    nothing = table | {"cells": {}}
    assert systems_markdown.costs(nothing) == systems_markdown.runs(nothing) == "No run yet.\n"


def test_a_sinusoid_has_a_column_for_each_test():
    rows = [
        row("mann", "MANN", 2.0 + shots, shots=shots, repeats=100, num_tasks=100)
        for shots in (5, 10, 20)
    ]
    table = {"table": 1, "task": "sinusoid", "metric": "mse", "cells": {"10shot": rows}}
    text = systems_markdown.scores(table).splitlines()
    assert "| 10-shot | MANN | 7.00 ± 0.25 | 12.00 ± 0.25 | 22.00 ± 0.25 |" in text
    assert "| 20-shot | Meta-SGD | – (1.01 ± 0.17) | – (0.54 ± 0.08) | – (0.31 ± 0.05) |" in text
    # With the digits of its table, of which the last may be 0.
    assert "| 5-shot | Meta-SGD | – (0.90 ± 0.16) | – (0.63 ± 0.12) | – (0.50 ± 0.10) |" in text
    assert len(text) == 2 + 3 * 3
    # One run, evaluated on three numbers of shots.
    (line,) = systems_markdown.runs(table).splitlines()[2:]
    assert line.startswith("| 10-shot | MANN |") and "| 100 × 100 |" in line
    assert systems_markdown.missing(table) == (
        "Not trained yet: MAML (all); Meta-SGD (all); MANN (5-shot, 20-shot).\n"
    )


@pytest.mark.parametrize("number", [2, 3])
def test_every_published_figure_has_a_source(number, table):
    text = systems_markdown.sources(table | {"table": number})
    for name, held in published_systems.PUBLISHED[number].items():
        assert len(held.figures) == len(CELLS)
        assert f"| {ROWS[name]} | {held.source} |" in text
    assert set(published_systems.PUBLISHED[number]) <= set(ROWS)


@pytest.mark.parametrize(
    ("number", "algorithm", "cell", "shots", "mean", "ci95"),
    [
        (1, "maml", "5shot", 20, 0.71, 0.12),
        (1, "meta_sgd", "20shot", 5, 1.01, 0.17),
        (1, "mann", "20shot", 5, None, None),
        (2, "meta_sgd", "20way1shot", 1, 95.93, 0.38),
        (2, "maml", "5way5shot", 5, 99.9, 0.1),
        (2, "siamese_nets", "5way5shot", 5, 98.4, None),
        (2, "matching_nets", "20way1shot", 1, 93.8, None),
        (2, "mann", "5way1shot", 1, 82.8, None),
        (2, "mann", "20way1shot", 1, None, None),
        (2, "prototypical_nets", "20way5shot", 5, 98.9, None),
        (2, "reptile", "5way1shot", 1, 97.68, None),
        (2, "anil", "20way1shot", 1, 96.2, None),
        (2, "anil", "5way1shot", 1, None, None),
        (2, "maml_plus_plus", "20way1shot", 1, 97.65, None),
        (2, "meta_lstm", "5way1shot", 1, None, None),
        (3, "meta_lstm", "5way5shot", 5, 60.60, 0.71),
        (3, "matching_nets", "5way1shot", 1, 43.56, 0.84),
        (3, "anil", "5way5shot", 5, 61.5, None),
        (3, "reptile", "5way1shot", 1, None, None),
    ],
)
def test_figures_are_those_that_were_published(number, algorithm, cell, shots, mean, ci95):
    found = figure(number, algorithm, cell, shots)
    assert (found.mean, found.ci95) == (mean, ci95)
    assert (found.source is None) == (mean is None)


def test_systems_have_the_titles_of_their_algorithms():
    both = set(ROWS) & set(ALGORITHMS)
    assert both and {n: ROWS[n] for n in both} == {n: ALGORITHMS[n].title for n in both}
