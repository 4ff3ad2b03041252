"""The figure of α: how the learned rates of each layer are distributed."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib import figure, lines

from metasgd_tf import tasks
from metasgd_tf.figures import style
from trainers.errors import InputError

BINS = 60
SHOWN = (0.001, 0.999)
"""The quantiles of every layer's entries that the horizontal axis includes."""
COLUMNS = {"mean": 0.62, "below 0": 1.0}
"""The statistics beside each histogram, and where their columns end, from 0 to 1."""
INITIAL: dict[str, Any] = {"lw": 0.8, "linestyle": (0, (3, 2))}


class Rates(NamedTuple):
    """α of a run.

    Attributes:
      initial: the initial value of each layer's entries.
      layers: the entries of each layer, in the network's order.
    """

    initial: dict[str, float]
    layers: dict[str, np.ndarray]


def alpha_distributions(model_dirs: Sequence[str], checkpoint: str = "last") -> figure.Figure:
    """Draws the distributions of α of runs, see `draw`.

    Args:
      model_dirs: directories of up to four runs of one network.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.

    Raises:
      InputError: if a run's α is fixed, the runs' layers differ, or there are more than four runs.
    """
    runs = style.chosen(model_dirs)
    for run in runs:
        if run.settings.alpha == "fixed":
            raise InputError(
                f"model_dirs={run.model_dir}: its α is fixed; name runs that learn theirs"
            )
    rates = [_read(run, checkpoint) for run in runs]
    layers = list(rates[0].layers)
    for run, own in zip(runs, rates, strict=True):
        if list(own.layers) != layers:
            raise InputError(
                f"model_dirs={run.model_dir}: has layers {', '.join(own.layers)} where "
                f"{runs[0].model_dir} has {', '.join(layers)}; name runs of one network"
            )
    return draw(runs, rates)


def _read(run: style.Run, checkpoint: str) -> Rates:
    family = tasks.from_flags(run.settings, ())  # Its data may be gone: α has the shapes alone.
    learner, _ = style.restored(run, family, checkpoint)
    alpha = learner.alpha
    if alpha is None:
        raise InputError(f"model_dirs={run.model_dir}: its learner has no α; name runs that have")
    values = alpha.by_layer(alpha.per_weight(alpha.rates))
    initial = alpha.by_layer([tf.constant([value]) for value in alpha.initial_values])
    return Rates(
        {layer: float(value[0]) for layer, value in initial.items()},
        {layer: value.numpy() for layer, value in values.items()},
    )


@matplotlib.rc_context(style.LOOK)
def draw(runs: Sequence[style.Run], rates: Sequence[Rates]) -> figure.Figure:
    """Draws one row per layer: histograms of α with their means and shares of negative entries.

    A rate that all of a layer shares is drawn as a line. Outliers may lie outside of the axes, but
    they count in the statistics.

    Args:
      runs: up to four runs.
      rates: the α of each; of the same layers.
    """
    layers = list(rates[0].layers)
    row_height = max(0.25 + 0.18 * max(2, len(runs)), min(1.0, 4 / len(layers)))
    size = (style.WIDTH, 1.1 + row_height * len(layers))
    drawn = figure.Figure(figsize=size, layout="constrained")
    rows = drawn.subplots(len(layers), 2, width_ratios=(3.3, 1), squeeze=False)
    edges = _edges(rates)
    for (plot, numbers), layer in zip(rows, layers, strict=True):
        _draw_distributions(plot, edges, runs, [own.layers[layer] for own in rates])
        _draw_numbers(numbers, runs, [own.layers[layer] for own in rates])
        plot.axvline(0, color="0.2", lw=0.8)
        for value, colour in _initial_values(runs, [own.initial[layer] for own in rates]).items():
            plot.axvline(value, color=colour, **INITIAL)
        plot.set_ylabel(layer, rotation=0, ha="right", va="center")
        plot.tick_params(labelbottom=layer == layers[-1])
    rows[-1][0].set_xlabel("learned rate α")
    _write_titles(rows[0][0], rows[0][1], any(plot.patches for plot, _ in rows))
    style.legend(drawn, _handles(runs))
    return drawn


def _edges(rates: Sequence[Rates]) -> np.ndarray:
    """Returns the edges of the bins; one of them is 0, so that no bin holds both signs."""
    ends = [np.quantile(values, SHOWN) for own in rates for values in own.layers.values()]
    initial = [value for own in rates for value in own.initial.values()]
    marks = [0.0, *initial, *np.ravel(ends)]
    width = (max(marks) - min(marks)) / BINS or 1.0
    first, last = math.floor(min(marks) / width) - 1, math.ceil(max(marks) / width) + 1
    return width * np.arange(first, last + 1)


def _initial_values(runs: Sequence[style.Run], values: Sequence[float]) -> dict[float, str]:
    """Returns a layer's initial values with their colours: grey, or the runs' if they differ."""
    if len(set(values)) == 1:
        return {values[0]: "0.2"}
    return {value: run.style["color"] for run, value in zip(runs, values, strict=True)}


def _draw_distributions(
    axes: Any, edges: np.ndarray, runs: Sequence[style.Run], values: Sequence[np.ndarray]
) -> None:
    for run, entries in zip(runs, values, strict=True):
        if np.ptp(entries) == 0:
            axes.axvline(entries[0], lw=1.6, **run.style)
            continue
        shares = np.histogram(entries, edges)[0] / entries.size
        axes.stairs(shares, edges, fill=True, color=run.style["color"], alpha=0.15, lw=0)
        axes.stairs(shares, edges, lw=1.1, **run.style)
    axes.set(xlim=(edges[0], edges[-1]), yticks=[])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)


def _write_titles(plot: Any, numbers: Any, histograms: bool) -> None:
    above = {"y": 1.04, "va": "bottom", "fontsize": 8}
    title = "share of the layer's entries" if histograms else ""
    plot.text(0.5, s=title, ha="center", transform=plot.transAxes, **above)
    for title, end in COLUMNS.items():
        numbers.text(end, s=title, ha="right", transform=numbers.transAxes, **above)


def _draw_numbers(axes: Any, runs: Sequence[style.Run], values: Sequence[np.ndarray]) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    for number, (run, entries) in enumerate(zip(runs, values, strict=True)):
        y = 1 - (number + 0.5) / len(runs)
        axes.plot((0, 0.2), (y, y), lw=1.4, **run.style)
        texts = (f"{entries.mean(dtype=np.float64):#.3g}", f"{100 * np.mean(entries < 0):.1f} %")
        for text, end in zip(texts, COLUMNS.values(), strict=True):
            axes.text(end, y, text.replace("-", "−"), ha="right", va="center", fontsize=8)


def _handles(runs: Sequence[style.Run]) -> list[lines.Line2D]:
    return [
        *(lines.Line2D([], [], label=run.label, lw=1.4, **run.style) for run in runs),
        lines.Line2D([], [], label="initial value", color="0.2", **INITIAL),
    ]
