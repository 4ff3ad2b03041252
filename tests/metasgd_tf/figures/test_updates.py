"""The figure of updates, from evaluations that are written out here."""

import json

import numpy as np
import pytest

from metasgd_tf.figures.updates import scores_by_updates
from metasgd_tf.flags import run_flags
from trainers.errors import InputError


def make_run(path, metric, means, *arguments):
    """Writes the flags and the evaluation of a run."""
    run_flags.write(run_flags.resolve(run_flags.parse(arguments)), str(path))
    results = [
        {"metric": metric, "shots": shots, "inner_steps": step, "mean": mean * shots, "ci95": 0.5}
        for shots in (1, 2)
        for step, mean in enumerate(means)
    ]
    text = json.dumps({"results": results})
    (path / "evaluation.json").write_text(text, encoding="utf-8")
    return str(path)


def points(axes, number):
    line, _, (bars,) = axes.containers[number]
    return line.get_xydata(), [np.ptp(segment[:, 1]) for segment in bars.get_segments()]


def test_each_run_is_a_line_with_its_intervals(tmp_path):
    one = make_run(tmp_path / "one", "return", [-40, -8, -3])
    other = make_run(tmp_path / "other", "return", [-41, -9], "--algorithm=maml")
    drawn = scores_by_updates([one, other])
    (axes,) = drawn.axes
    values, bars = points(axes, 0)
    np.testing.assert_array_equal(values, [[0, -40], [1, -8], [2, -3]])
    np.testing.assert_allclose(bars, 1.0)
    np.testing.assert_array_equal(points(axes, 1)[0], [[0, -41], [1, -9]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("updates", "return on test tasks")
    assert list(axes.get_xticks()) == [0, 1, 2]


def test_shares_are_in_percent(tmp_path):
    drawn = scores_by_updates([make_run(tmp_path / "one", "accuracy", [0.2, 0.9])])
    values, _ = points(drawn.axes[0], 0)
    np.testing.assert_allclose(values, [[0, 20], [1, 90]])
    assert drawn.axes[0].get_ylabel() == "accuracy on test tasks (%)"


def test_runs_that_were_not_evaluated_or_are_scored_otherwise_are_refused(tmp_path):
    one = make_run(tmp_path / "one", "return", [-40, -8])
    other = make_run(tmp_path / "other", "mse", [3, 1], "--algorithm=maml")
    with pytest.raises(InputError, match="is scored by mse and .* by return; name runs of one"):
        scores_by_updates([one, other])
    bare = tmp_path / "bare"
    run_flags.write(run_flags.resolve(run_flags.parse(["--algorithm=maml"])), str(bare))
    with pytest.raises(InputError, match="has not been evaluated; run evaluate on it first"):
        scores_by_updates([one, str(bare)])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"results": []}',
        '{"results": [{}]}',
        '{"results": [{"metric": "mse", "shots": 1, "inner_steps": 1, "mean": null, "ci95": 1}]}',
        '{"results": [{"metric": "mse", "shots": 1, "inner_steps": 1, "mean": NaN, "ci95": 1}]}',
    ],
)
def test_an_evaluation_that_cannot_be_drawn_is_one_sentence(tmp_path, text):
    run = make_run(tmp_path / "one", "mse", [2.0, 1.0])
    (tmp_path / "one" / "evaluation.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"model_dirs={run}: its evaluation.json is damaged, or h"):
        scores_by_updates([run])
