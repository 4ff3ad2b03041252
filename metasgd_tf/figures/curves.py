"""The figure of learning curves: scores on validation tasks during training."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib import figure, lines, ticker
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

from metasgd_tf.figures import style
from trainers.errors import InputError

WIDTHS = {"before": 0.7, "after": 1.8}
HEIGHT, PERCENT_HEIGHT = 3.6, 4.5
PERCENT = ("accuracy",)
"""Metrics that are fractions, drawn in percent on a log scale of their distance to 100 %."""
RESOLVED = 0.1
"""Percent added to this distance, since its logarithm is infinite at 100 %."""
TICKS = (100, 99.8, 99.5, 99, 98, 95, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0)
"""Percentages that may label the axis; of those too close to each other, the first is shown."""
TICK_DISTANCE = 0.06
"""The smallest distance between two labels, as a fraction of the axis."""
ERRORS = ("mse",)
"""Metrics that are drawn on a log scale."""
TITLES = {"mse": "mean squared error"}


class Curves(NamedTuple):
    """A run's metric on validation tasks during training.

    Attributes:
      metric: its name.
      points: for `before` and `after` adaptation, the values by meta-iteration, in order.
    """

    metric: str
    points: dict[str, dict[int, float]]


@matplotlib.rc_context(style.LOOK)
def learning_curves(model_dirs: Sequence[str]) -> figure.Figure:
    """Draws a metric on validation tasks against meta-iterations.

    Args:
      model_dirs: directories of up to four runs of one metric.

    Raises:
      InputError: if a run has no curves or another metric, or there are more than four.
    """
    runs = style.chosen(model_dirs)
    curves = [read(run.model_dir) for run in runs]
    metric = curves[0].metric
    for run, own in zip(runs, curves, strict=True):
        if own.metric != metric:
            raise InputError(
                f"model_dirs={run.model_dir}: is scored by {own.metric} and {runs[0].model_dir} by "
                f"{metric}; name runs of one metric"
            )
    height = PERCENT_HEIGHT if metric in PERCENT else HEIGHT
    drawn = figure.Figure(figsize=(style.WIDTH, height), layout="constrained")
    axes = drawn.subplots()
    unit = 100 if metric in PERCENT else 1
    for moment, width in WIDTHS.items():
        for run, own in zip(runs, curves, strict=True):
            points = own.points[moment]
            axes.plot(
                list(points),
                [unit * value for value in points.values()],
                lw=width,
                marker="o" if len(points) == 1 else "",
                label=run.label,
                **run.style,
            )
    _scale(axes, metric)
    style.legend(drawn, [*_moments(), *axes.get_lines()[-len(runs) :]])
    return drawn


def _moments() -> list[lines.Line2D]:
    return [
        lines.Line2D([], [], color="0.3", lw=width, label=f"{moment} adaptation")
        for moment, width in WIDTHS.items()
    ]


def _scale(axes: Any, metric: str) -> None:
    axes.set_xlabel("meta-iterations")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", color="0.9", lw=0.6)
    unit = " (%)" if metric in PERCENT else ""
    axes.set_ylabel(f"{TITLES.get(metric, metric)} on validation tasks{unit}")
    if metric in PERCENT:
        _scale_percent(axes)
    elif metric in ERRORS:
        _scale_error(axes)


def _scale_percent(axes: Any) -> None:
    """Stretches the axis towards 100 %, so that 94 and 95 % are as far apart as 70 and 75 %."""
    axes.set_yscale("function", functions=(_nines, _percent))
    axes.autoscale_view()
    low, high = axes.get_ylim()
    span = _nines(high) - _nines(low)
    chosen: list[float] = []
    for tick in TICKS:
        within = low <= tick <= high
        if within and (not chosen or _nines(chosen[-1]) - _nines(tick) > TICK_DISTANCE * span):
            chosen.append(tick)
    axes.yaxis.set_major_locator(ticker.FixedLocator(chosen))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))


def _nines(percent: np.ndarray | float) -> np.ndarray:
    # Above 100 % there is only the axis' margin, but the scale has to be defined there.
    return -np.log10(np.maximum(100 + RESOLVED - percent, RESOLVED / 100))


def _percent(nines: np.ndarray | float) -> np.ndarray:
    return 100 + RESOLVED - 10.0 ** -np.asarray(nines)


def _scale_error(axes: Any) -> None:
    axes.set_yscale("log")
    # Errors of a run often lie within one power of ten, which would leave an axis with one number.
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())


def read(model_dir: str) -> Curves:
    """Reads a run's metric on validation tasks from the summaries that training wrote.

    A resumed run has several files, whose iterations may overlap: the later file counts. Damaged
    records, as from a training that was killed, are skipped.

    Args:
      model_dir: the run's directory.

    Raises:
      InputError: if there are no records of a metric.
    """
    folder = pathlib.Path(model_dir) / "validation"
    events = EventAccumulator(os.fspath(folder), size_guidance={TENSORS: 0})
    if folder.is_dir():
        events.Reload()
    tags = events.Tags()[TENSORS]
    metrics = [
        name
        for name, _, moment in (tag.rpartition("/") for tag in tags)
        if moment == "after" and f"{name}/before" in tags
    ]
    # The loss is minimised in training, but most families are evaluated by another metric.
    metrics.sort(key=lambda name: name == "loss")
    if not metrics:
        raise InputError(
            f"model_dirs={model_dir}: holds no learning curves; name a run that got to its first "
            "checkpoint"
        )
    points = {moment: _points(events, f"{metrics[0]}/{moment}") for moment in WIDTHS}
    return Curves(metrics[0], points)


def _points(events: EventAccumulator, tag: str) -> dict[int, float]:
    values = {
        event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)
    }
    return dict(sorted(values.items()))
