"""What the page sends is refused in one sentence that names the part, or read as it stands."""

import pytest

from metasgd_tf.webpage import reading
from metasgd_tf.webpage.reading import RequestError


def test_a_drawing_is_read_without_its_empty_strokes():
    given = [[[0, 1], [0.25, 0.5]], [], [[1, 0]]]
    assert reading.drawing(given, "query") == (((0.0, 1.0), (0.25, 0.5)), ((1.0, 0.0),))
    assert reading.drawing([], "query") == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "query: should be a list of at most 200"),
        ({"0": []}, "query: should be a list of at most 200"),
        ([[]] * 201, "query: should be a list of at most 200"),
        ([[], "ab"], r"query\[1\]: should be a list of at most 2000"),
        ([[[0, 0]] * 2001], r"query\[0\]: should be a list of at most 2000"),
        ([[[0, 0], [0]]], r"query\[0\]\[1\]: should be two numbers"),
        ([[[0, 0, 0]]], r"query\[0\]\[0\]: should be two numbers"),
        ([[[0, "0"]]], r"query\[0\]\[0\]\[1\]: should be a number from 0 to 1"),
        ([[[True, 0]]], r"query\[0\]\[0\]\[0\]: should be a number from 0 to 1"),
        ([[[float("nan"), 0]]], r"query\[0\]\[0\]\[0\]: should be a number from 0 to 1"),
        ([[[0, float("inf")]]], r"query\[0\]\[0\]\[1\]: should be a number from 0 to 1"),
        ([[[10**400, 0]]], r"query\[0\]\[0\]\[0\]: should be a number from 0 to 1"),
        ([[[0, -0.001]]], r"query\[0\]\[0\]\[1\]: should be a number from 0 to 1"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_drawing_is_refused(given, message):
    with pytest.raises(RequestError, match=message):
        reading.drawing(given, "query")


@pytest.mark.parametrize("given", [None, [], "query", {}, {"quer": []}])
def test_a_field_that_is_not_there_is_named(given):
    with pytest.raises(RequestError, match="an object with a field 'query'"):
        reading.field(given, "query")


def test_a_seed_is_a_whole_number():
    assert reading.seed({"seed": 7}) == 7
    for given, message in ((1.5, "whole number"), (-1, "from 0"), ("1", "from 0")):
        with pytest.raises(RequestError, match=message):
            reading.seed({"seed": given})
