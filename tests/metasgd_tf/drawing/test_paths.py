"""Images of paths, by what matplotlib was told to draw."""

import numpy as np
import pytest
from matplotlib import figure

from metasgd_tf.drawing.paths import DRAWN, REACH, Paths, draw, draw_task

GOALS = np.array([[0.3, -0.2], [-0.4, 0.1], [0.0, 0.5]])


def paths(seed, lengths):
    """Paths of three goals whose lengths are known."""
    positions = np.random.default_rng(seed).uniform(-0.5, 0.5, size=[3, len(lengths), 6, 2])
    mask = np.arange(6) < np.array(lengths)[:, np.newaxis]
    return Paths(positions, np.tile(mask.astype(float), [3, 1, 1]))


@pytest.fixture(scope="module")
def drawn():
    rows = {"before": paths(0, [6, 3]), "after": paths(1, [2, 6])}
    return rows, draw(GOALS, rows)


def test_there_is_a_row_a_moment_and_a_column_a_goal(drawn):
    rows, image = drawn
    grid = image.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols, len(image.axes)) == (2, 3, 6)
    assert [axes.get_ylabel() for axes in image.axes[::3]] == list(rows)
    for axes in image.axes:
        assert (axes.get_xlim(), axes.get_ylim()) == ((-REACH, REACH), (-REACH, REACH))


def test_each_path_is_drawn_up_to_its_episodes_end_with_its_start_and_its_goal(drawn):
    rows, image = drawn
    for row, rollout in enumerate(rows.values()):
        for column, goal in enumerate(GOALS):
            *lines, cross = image.axes[3 * row + column].lines
            assert len(lines) == 4
            for number, (path, ring) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
                length = int(rollout.mask[column, number].sum())
                expected = rollout.positions[column, number, :length]
                np.testing.assert_array_equal(path.get_xydata(), expected)
                np.testing.assert_array_equal(ring.get_xydata(), expected[:1])
                assert ring.get_marker() == "o"
            np.testing.assert_array_equal(cross.get_xydata(), [goal])
            assert cross.get_marker() == "X"


def test_moments_have_colours_of_their_own(drawn):
    _, image = drawn
    rows = image.axes[:3], image.axes[3:]
    before, after = ({axes.lines[0].get_color() for axes in row} for row in rows)
    assert len(before) == len(after) == 1 and before != after


def test_no_more_than_some_paths_are_drawn():
    axes = figure.Figure().subplots()
    many = paths(2, [6] * (DRAWN + 4))
    draw_task(axes, GOALS[0], many.positions[0], many.mask[0], colour="k", ls=":")
    assert len(axes.lines) == 2 * DRAWN + 1
    assert axes.lines[0].get_linestyle() == ":"
