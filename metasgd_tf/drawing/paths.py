"""Drawings of the paths of navigation policies before and after adaptation to a goal."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import figure

from metasgd_tf.drawing.episodes import BLUE, VERMILLION

DRAWN = 5
"""Paths drawn per goal."""
REACH = 0.75
"""Half the side of a plot."""
COLOURS = (BLUE, VERMILLION)


class Paths(NamedTuple):
    """The positions of some trajectories in each task.

    Attributes:
      positions: of T tasks × N trajectories × H − 1 steps, with those of the starts, [T, N, H, 2].
      mask: 1 until an episode's end and 0 after it, [T, N, H].
    """

    positions: Any
    mask: Any


def draw(goals: np.ndarray, rows: Mapping[str, Paths]) -> figure.Figure:
    """Draws a grid of plots, one column per goal and one row per entry of `rows`.

    Args:
      goals: [T, 2].
      rows: by the label of a row, its paths in all tasks.
    """
    size = (1.6 * len(goals) + 0.4, 1.6 * len(rows) + 0.3)
    drawn = figure.Figure(figsize=size, dpi=100, layout="constrained")
    grid = drawn.subplots(len(rows), len(goals), sharex=True, sharey=True, squeeze=False)
    for number, ((title, paths), line) in enumerate(zip(rows.items(), grid, strict=True)):
        line[0].set_ylabel(title)
        for axes, goal, *task in zip(line, goals, paths.positions, paths.mask, strict=True):
            draw_task(axes, goal, *task, colour=COLOURS[number % len(COLOURS)])
    return drawn


def draw_task(
    axes: Any, goal: Sequence[float], positions: np.ndarray, mask: np.ndarray, **style: Any
) -> None:
    """Draws some of a task's paths, with a ring where each begins and a cross at the goal.

    Args:
      axes: what to draw in.
      goal: [2].
      positions: [N, H, 2].
      mask: [N, H].
      **style: `colour`, and further properties of matplotlib's lines.
    """
    colour = style.pop("colour")
    for path, alive in zip(positions[:DRAWN], mask[:DRAWN], strict=True):
        met = path[alive > 0]
        axes.plot(met[:, 0], met[:, 1], color=colour, lw=0.7, alpha=0.8, **style)
        axes.plot(*met[0], "o", ms=3, mfc="white", mec="0.3", zorder=4)
    axes.plot(*goal, "kX", ms=6, mec="white", mew=0.7, zorder=5)
    axes.set(
        xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5]
    )
    axes.set_aspect("equal")
