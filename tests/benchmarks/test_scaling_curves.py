"""The scaling curves: which points they have, and that results are read as they were written."""

import json

from benchmarks.scaling_curves import drawing, results
from benchmarks.scaling_curves.measure import Measured
from benchmarks.scaling_curves.points import NAMES, Point, curve, points


def test_all_curves_share_a_point_that_is_measured_once():
    everything = points()
    assert everything[0] == Point() and everything.count(Point()) == 1
    assert all(Point() in curve(size) for size in NAMES)
    assert set(everything) == {point for size in NAMES for point in curve(size)}
    assert len(set(everything)) == len(everything)


def found():
    """Makes up results; one point took too much."""
    came = {p: Measured(1e3 / (p.ways * p.steps), 0.6 + p.filters / 99, 0.6) for p in points()}
    return came | {Point(ways=423): "more than 8 GB"}


def test_results_are_read_as_they_were_written(tmp_path):
    file = tmp_path / "curves.json"
    assert results.read(file) == {}
    file.write_text(json.dumps(results.record(found())))
    assert results.read(file) == found()


def test_numbers_are_published_with_few_digits():
    assert results.rounded(Measured(52.0987, 0.8371, 0.6388)) == Measured(52.1, 0.84, 0.64)
    assert results.rounded("more than 8 GB") == "more than 8 GB"


def test_a_figure_leaves_out_what_took_too_much(tmp_path):
    drawing.save(found(), str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
