"""Figures of runs, legible in print and to the colour-blind: by colour and by line style."""

import pathlib
from collections.abc import Sequence
from typing import Any

import matplotlib
import tensorflow as tf
from absl import flags
from matplotlib import figure

from metasgd_tf import run_flags, tasks
from metasgd_tf.evaluation import restored_learner
from metasgd_tf.reproduction import LEARNERS
from metasgd_tf.tasks.sinusoid import INPUT_RANGE, Sinusoid
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform

SHOTS = (5, 10)
# Okabe and Ito's colours, which differ for every kind of colour vision.
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#D55E00", "linestyle": "-"},
    {"color": "#0072B2", "linestyle": "--"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
)


def sinusoid_fits(model_dirs: Sequence[str], curve_seed: int) -> figure.Figure:
    """Draws what learners of the sinusoid make of one curve after their inner steps.

    All support points lie on the left half, so that the right half shows what was learned about
    sine curves at large (Li et al. 2017, figure 3).

    Args:
      model_dirs: directories of up to four sinusoid runs.
      curve_seed: what the curve and its support points are drawn by.

    Raises:
      InputError: if a run is not one of the sinusoid, or there are more than four.
    """
    if not 1 <= len(model_dirs) <= len(STYLES):
        raise InputError(f"model_dirs={','.join(model_dirs)}: name one to {len(STYLES)} runs")
    drawn = figure.Figure(figsize=(9.0, 3.6), layout="constrained")
    axes = drawn.subplots(1, len(SHOTS), sharey=True)
    grid = tf.linspace(*INPUT_RANGE, 200)[:, tf.newaxis]
    seed = tf.constant([curve_seed, 0])
    for model_dir, style in zip(model_dirs, STYLES, strict=False):
        settings = run_flags.read(model_dir)
        if settings.task != "sinusoid":
            raise InputError(f"model_dirs={model_dir}: is a run of {settings.task}, not sinusoid")
        family = tasks.from_flags(settings, ("test",))
        assert isinstance(family, Sinusoid)
        learner, _ = restored_learner(family, settings, model_dir)
        curve = uniform(fold_in(seed, 0), [3])
        for axis, shots in zip(axes, SHOTS, strict=True):
            inputs = INPUT_RANGE[0] * uniform(fold_in(seed, shots), [shots])[:, tf.newaxis]
            targets = family.targets(curve, inputs)
            if model_dir == model_dirs[0]:
                axis.plot(grid, family.targets(curve, grid), color="0.6", lw=4, label="curve")
                axis.plot(inputs, targets, "k^", ms=7, zorder=5, label="support set")
                axis.set(title=f"{shots} shots", xlabel="x")
            fit = learner.predict(learner.adapt(inputs, targets), grid)
            axis.plot(grid, fit, lw=1.8, label=_label(settings), **style)
    axes[0].set_ylabel("y")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return drawn


def _label(settings: flags.FlagValues) -> str:
    name = LEARNERS.get(settings.algorithm, settings.algorithm)
    steps = settings.inner_steps
    return f"{name}, {steps} step{'s' if steps > 1 else ''}"


def save(drawn: figure.Figure, path: str) -> None:
    """Writes a figure in the format of the file's ending, bit by bit the same for the same data.

    Raises:
      InputError: if matplotlib has no such format.
    """
    ending = pathlib.Path(path).suffix.removeprefix(".")
    if ending not in drawn.canvas.get_supported_filetypes():
        raise InputError(f"output={path}: should end in .png, .svg or .pdf")
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "metasgd_tf", "font.size": 10}):
        drawn.savefig(path, dpi=150, metadata={"Date": None} if ending == "svg" else None)
