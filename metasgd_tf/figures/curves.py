"""The figure of learning curves: scores on validation tasks, as training wrote them on its way."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import tensorflow as tf
from matplotlib import figure, lines, ticker
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

from metasgd_tf.figures import style
from trainers.errors import InputError

WIDTHS = {"before": 0.7, "after": 1.8}
PERCENT = ("accuracy",)
"""Metrics that are shares, drawn in percent."""
ERRORS = ("mse",)
"""Metrics that are drawn by their logarithm."""
TITLES = {"mse": "mean squared error"}


class Curves(NamedTuple):
    """The course of a run's metric.

    Attributes:
      metric: its name.
      points: `before` adaptation and `after` it, the values by meta-iteration, in order.
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
    drawn = figure.Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
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
    if metric not in ERRORS:
        return
    axes.set_yscale("log")
    # Errors of a run often lie within one power of ten, which would leave an axis with one number.
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())


def read(model_dir: str) -> Curves:
    """Reads what training wrote of a run's metric on validation tasks.

    A run that was stopped and went on has several files, whose iterations may overlap: the later
    file counts. What is damaged, as by a training that was killed, is left out.

    Args:
      model_dir: the run's directory.

    Raises:
      InputError: if there is nothing.
    """
    folder = pathlib.Path(model_dir) / "validation"
    events = EventAccumulator(os.fspath(folder), size_guidance={TENSORS: 0})
    if folder.is_dir():
        events.Reload()
    tags = events.Tags()[TENSORS]
    metrics = [
        name
        for name, _, moment in (tag.rpartition("/") for tag in tags)
        # The loss is what training goes by, and not what a family is evaluated by.
        if moment == "after" and name != "loss" and f"{name}/before" in tags
    ]
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
