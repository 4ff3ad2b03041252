"""The curves as a figure: speed above, memory below."""

from collections.abc import Mapping

import matplotlib
from matplotlib import figure, ticker

from benchmarks.scaling_curves.measure import Measured
from benchmarks.scaling_curves.points import NAMES, Point, curve
from metasgd_tf.drawing.episodes import BLUE, VERMILLION
from metasgd_tf.figures.style import LOOK, WIDTH

HEIGHT = 3.6
TICKS = {
    "tasks": (1, 16, 256),
    "ways": (5, 50, 423),
    "steps": (1, 3, 10),
    "filters": (16, 64, 256),
    "classes": (110, 1100, 8800),
}


def save(found: Mapping[Point, Measured | str], path: str) -> None:
    """Draws points that were measured to the end and writes the figure (.png).

    Args:
      found: what came of each point.
      path: the file.
    """
    with matplotlib.rc_context(LOOK):
        drawn = figure.Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        rows = drawn.subplots(2, len(NAMES), sharex="col", sharey="row")
        for size, speed, memory in zip(NAMES, *rows, strict=True):
            met = [(getattr(p, size), found.get(p)) for p in curve(size)]
            there = [(value, point) for value, point in met if isinstance(point, Measured)]
            values = [value for value, _ in there]
            style = {"marker": "o", "markersize": 3}
            speed.plot(values, [p.tasks_a_second for _, p in there], color=BLUE, **style)
            memory.plot(values, [p.peak_gb for _, p in there], color=VERMILLION, **style)
            before = [p.before_gb for _, p in there]
            memory.plot(values, before, color="0.6", linestyle="--", label="before images")
            speed.set(xscale="log", yscale="log")
            memory.set(xlabel=NAMES[size], xscale="log")
            memory.xaxis.set_major_locator(ticker.FixedLocator(TICKS[size]))
            memory.xaxis.set_major_formatter("{x:,.0f}")
            memory.xaxis.set_minor_locator(ticker.NullLocator())
        rows[0][0].set_ylabel("tasks a second")
        rows[0][0].yaxis.set_major_formatter("{x:g}")
        # Only now: the axes of a row are one, whose top would stay where it is.
        rows[1][0].set(ylabel="peak memory in GB", ylim=(0, None))
        rows[1][0].legend(loc="lower left", handlelength=1.4)
        drawn.savefig(path, dpi=150)
