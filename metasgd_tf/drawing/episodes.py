"""Figures of single tasks, which training writes for TensorBoard."""

from typing import Any

import numpy as np
from matplotlib import figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from trainers.episodes import Episode

# Okabe and Ito's colours, which every kind of colour vision can tell apart.
VERMILLION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
SHOWN_CLASSES = 10
SHOWN_IMAGES = 5
PITCH = 1.25
"""Distance between rows: an image takes 0.9, and the text below it most of the rest."""
TITLE_WIDTH = 3.0


def fit(episode: Episode, before: np.ndarray, after: np.ndarray) -> figure.Figure:
    """Draws a regression task of one input: the function, its support set and the two fits.

    Args:
      episode: a regression task with its query inputs [M, 1] in order, as arrays.
      before: outputs for the query inputs before adaptation, [M, 1].
      after: outputs for them after adaptation, [M, 1].
    """
    drawn = figure.Figure(figsize=(4.8, 3.2), dpi=100)
    # Placed by hand, since working out a layout takes as long as drawing.
    axes = drawn.add_axes((0.08, 0.09, 0.9, 0.8))
    x = episode.query_inputs[:, 0]
    axes.plot(x, episode.query_targets[:, 0], color="0.6", lw=4, label="truth")
    axes.plot(x, before[:, 0], color=BLUE, ls="--", label="before")
    axes.plot(x, after[:, 0], color=VERMILLION, label="after")
    axes.plot(
        episode.support_inputs[:, 0], episode.support_targets[:, 0], "k^", label="support set"
    )
    # Outside, since no corner is free of every curve.
    drawn.legend(loc="upper center", ncols=4, fontsize="small", frameon=False)
    return drawn


def classification(
    episode: Episode, before: np.ndarray, after: np.ndarray, *, ink_is_one: bool = False
) -> figure.Figure:
    """Draws a task of images, one class per row: the support set, then queries with predictions.

    Below a query are the classes predicted before and after adaptation; a frame and a cross mark a
    prediction that is wrong after it. At most ten classes are shown, with up to five support and
    five query images each.

    Args:
      episode: a classification task as arrays; inputs in [0, 1].
      before: logits for the query inputs before adaptation, [M, ways].
      after: logits for them after adaptation, [M, ways].
      ink_is_one: whether images are drawings of ink 1 on paper 0, which are shown dark on light.
    """
    ways = before.shape[1]
    rows = range(min(ways, SHOWN_CLASSES))
    support = [np.flatnonzero(episode.support_targets == row)[:SHOWN_IMAGES] for row in rows]
    query = [np.flatnonzero(episode.query_targets == row)[:SHOWN_IMAGES] for row in rows]
    shots, queries = max(map(len, support)), max(map(len, query))
    begin = shots + 0.25  # Where the queries begin.
    right, bottom = begin + max(queries, TITLE_WIDTH) + 0.05, PITCH * len(rows)
    if ways > len(rows):
        bottom += 0.3  # For a line that says how many classes are shown.
    drawn = figure.Figure(
        figsize=(0.7 * (right + 0.85), 0.7 * (bottom + 0.45)), dpi=100, facecolor="0.93"
    )
    axes = drawn.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-0.85, right), ylim=(bottom, -0.45))
    axes.set_axis_off()
    axes.text(0, -0.12, "support", fontsize=9)
    axes.text(begin, -0.12, "query: predicted before → after", fontsize=9)
    for row in rows:
        top = PITCH * row
        axes.text(-0.1, top + 0.45, f"class {row}", ha="right", va="center", fontsize=8)
        for column, index in enumerate(support[row]):
            _show(axes, episode.support_inputs[index], column, top, ink_is_one)
        for column, index in enumerate(query[row]):
            left = begin + column
            _show(axes, episode.query_inputs[index], left, top, ink_is_one)
            said = int(after[index].argmax())
            wrong = said != row
            colour = VERMILLION if wrong else "black"
            axes.text(
                left + 0.45,
                top + 1.05,
                f"{before[index].argmax()} → {said}" + (" ✗" if wrong else ""),
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
            )
            if wrong:
                frame = Rectangle((left, top), 0.9, 0.9, fill=False, edgecolor=colour, lw=2.5)
                axes.add_patch(frame)
    if ways > len(rows):
        text = f"{len(rows)} of {ways} classes"
        axes.text(0, PITCH * len(rows) + 0.1, text, va="center", fontsize=8)
    return drawn


def _show(axes: Any, image: np.ndarray, left: float, top: float, ink_is_one: bool) -> None:
    image = 1 - image if ink_is_one else image
    if image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    extent = (left, left + 0.9, top + 0.9, top)
    axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest")


def rasterised(drawn: figure.Figure) -> np.ndarray:
    """Returns a figure as an image, [height, width, 3] (uint8)."""
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
