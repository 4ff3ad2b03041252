"""A contact sheet: each class's support images, and the images predicted to be of that class."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import figure

from metasgd_tf.clients.classifying import Prediction
from metasgd_tf.images.files import image_files
from metasgd_tf.output.shown_names import shown

COLUMNS = 8
"""Most images of a line, of either kind."""

SHOWN = 200
"""Predictions on a sheet; more would not be looked at, and fill memory."""

NAME: dict[str, Any] = {"va": "center", "parse_math": False}
"""How names are written: what is between two dollar signs is no formula."""

_PITCH = 1.3
_THUMBNAIL = 160


def contact_sheet(
    support: Mapping[str, Sequence[pathlib.Path]], predictions: Sequence[Prediction]
) -> figure.Figure:
    """Draws a block of lines for each class: its support images, then the images predicted as it.

    Under a prediction stand the file's name and the probability of its class.

    Args:
      support: the images of each class by its name.
      predictions: those made with this support set; the first 200 are shown.
    """
    chosen = predictions[:SHOWN]
    by_class = {name: [one for one in chosen if one.name == name] for name in support}
    shots = min(COLUMNS, max(map(len, support.values())))
    taken = min(COLUMNS, max(map(len, by_class.values())))
    begin = shots + 0.3
    lines = {
        name: max(_lines(len(support[name]), shots), _lines(len(by_class[name]), taken))
        for name in support
    }
    width, height = begin + taken, _PITCH * sum(lines.values())
    more = len(predictions) - len(chosen)
    bottom = height + (0.35 if more else 0.05)
    drawn = figure.Figure(
        figsize=(0.85 * (width + 1.5), 0.85 * (bottom + 0.5)), dpi=100, facecolor="white"
    )
    axes = drawn.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-1.45, width + 0.05), ylim=(bottom, -0.5))
    axes.set_axis_off()
    axes.text(0, -0.15, "learned from", fontsize=9)
    axes.text(begin, -0.15, "taken for it", fontsize=9)
    top = 0.0
    for name in support:
        axes.axhline(top - 0.06, color="0.8", lw=0.8)
        axes.text(-0.1, top + 0.45, _short(name, 16), ha="right", fontsize=9, **NAME)
        for index, path in enumerate(support[name]):
            _show(axes, path, index % shots, top + _PITCH * (index // shots))
        for index, one in enumerate(by_class[name]):
            left, line = begin + index % taken, top + _PITCH * (index // taken)
            _show(axes, one.path, left, line)
            text = f"{_short(one.path.name, 15)}\n{100 * one.probability:.1f} %"
            axes.text(left + 0.45, line + 1.06, text, ha="center", fontsize=6.5, **NAME)
        top += _PITCH * lines[name]
    if more:
        axes.text(0, height + 0.15, f"and {more:,} other images", va="center", fontsize=9)
    return drawn


def _lines(count: int, columns: int) -> int:
    return max(1, -(-count // columns))


def _short(name: str, length: int) -> str:
    text = shown(name)
    return text if len(text) <= length else text[: length - 1] + "…"


def _show(axes: Any, path: pathlib.Path, left: float, top: float) -> None:
    extent = (left, left + 0.9, top + 0.9, top)
    try:
        pixels = image_files.decode(path, _THUMBNAIL, 3)
    except image_files.UnusableImageError:
        # The export, which reads files otherwise, has used it.
        axes.text(left + 0.45, top + 0.45, "not shown", ha="center", fontsize=6.5, **NAME)
        return
    axes.imshow(pixels, extent=extent, aspect="auto", interpolation="antialiased")
