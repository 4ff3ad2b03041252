"""What becomes of rows that are in the file, and of their differences to a new reference."""

import json

import pytest

from metasgd_tf.reproduction.systems import running


@pytest.mark.parametrize("mean", [1.0, 2.0])
def test_differences_to_a_reference_that_changed_are_left_out(tmp_path, monkeypatch, mean):
    difference = {"difference": 0.5}
    before = [
        {"algorithm": "meta_sgd", "mean": 1.0, "reference_minus_this": None},
        {"algorithm": "maml", "mean": 0.5, "reference_minus_this": difference},
    ]
    again = [{"algorithm": "meta_sgd", "mean": mean, "reference_minus_this": None}]
    held = json.dumps({"table": 2, "cells": {"5way1shot": before}})
    (tmp_path / "table2_systems.json").write_text(held, encoding="utf-8")
    monkeypatch.setattr(running, "_train", lambda *_: None)
    monkeypatch.setattr(running, "_rows", lambda *_: again)
    monkeypatch.setattr(running.systems_markdown, "whole", lambda table: "")
    table = running.reproduce(2, str(tmp_path), {"5way1shot": ["meta_sgd"]})
    rows = {row["algorithm"]: row for row in table["cells"]["5way1shot"]}
    assert rows["meta_sgd"]["mean"] == mean
    assert rows["maml"]["reference_minus_this"] == (difference if mean == 1.0 else None)


def test_what_another_command_made_meanwhile_stays(tmp_path, monkeypatch):
    def train(output, number, cell, algorithm):
        if algorithm == "maml":  # Meanwhile another command makes these.
            running.reproduce(2, str(tmp_path), {"5way1shot": ["anil"], "20way1shot": ["meta_sgd"]})
        return algorithm

    monkeypatch.setattr(running, "_train", train)
    monkeypatch.setattr(running, "_rows", lambda *made: [{"algorithm": made[2], "mean": 1.0}])
    monkeypatch.setattr(running.systems_markdown, "whole", lambda table: "")
    table = running.reproduce(2, str(tmp_path), {"5way1shot": ["maml"]})
    assert {cell: [row["algorithm"] for row in rows] for cell, rows in table["cells"].items()} == {
        "5way1shot": ["maml", "anil"],
        "20way1shot": ["meta_sgd"],
    }
