"""The files of an evaluation, where scores are not finite."""

import json
import os

import numpy as np
import pytest

from metasgd_tf.evaluation.reports import Evaluation, refuse_unwritable, write
from trainers.errors import InputError


def refuse(name):
    raise AssertionError(f"{name} is no JSON")


def test_scores_that_are_not_finite_are_null(tmp_path):
    row = {"metric": "mse", "shots": 5, "inner_steps": 1, "num_tasks": 2, "repeats": 1}
    report = {
        "protocol": "standard",
        "cross_domain": False,
        "results": [row | {"mean": np.inf, "ci95": np.nan}],
        "comparison": {"differences": [{"difference": -np.inf, "ci95": 0.5}]},
    }
    scores = np.array([[np.nan, np.inf], [np.nan, 2.0]])
    write(str(tmp_path), Evaluation(report, {5: {"mse": scores}}))
    text = (tmp_path / "evaluation.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=refuse)
    assert found["results"] == [row | {"mean": None, "ci95": None}]
    assert found["comparison"] == {"differences": [{"difference": None, "ci95": 0.5}]}
    lines = (tmp_path / "evaluation.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["task,shots,inner_steps,mse", "0,5,1,inf", "1,5,1,2"]


def test_numpys_numbers_are_numbers(tmp_path):
    row = {"metric": "mse", "shots": np.int64(5), "inner_steps": 1, "num_tasks": np.int32(1)}
    report = {"protocol": "standard", "cross_domain": False, "ways": np.int64(3)}
    report["results"] = [row | {"mean": np.inf}]
    write(str(tmp_path), Evaluation(report, {5: {"mse": np.ones([1, 2])}}))
    found = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert found["ways"] == 3 and found["results"][0]["shots"] == 5


def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    refuse_unwritable(str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root always may.
    with pytest.raises(InputError, match=f"^model_dir={tmp_path}: cannot be written to, .* a copy"):
        refuse_unwritable(str(tmp_path))
    refuse_unwritable(str(tmp_path / "none"))  # What is not there is refused as no run.
