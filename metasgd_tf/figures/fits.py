"""The figure of fits: learners of the sinusoid, adapted to the left half of one curve."""

from collections.abc import Sequence

import matplotlib
import tensorflow as tf
from matplotlib import figure

from metasgd_tf import tasks
from metasgd_tf.figures import style
from metasgd_tf.tasks.sinusoid import INPUT_RANGE, Sinusoid
from trainers.errors import InputError
from trainers.seeds import fold_in, uniform

SHOTS = (5, 10)


@matplotlib.rc_context(style.LOOK)
def sinusoid_fits(
    model_dirs: Sequence[str], curve_seed: int, checkpoint: str = "last"
) -> figure.Figure:
    """Draws the fits of learners of the sinusoid to one curve, after their inner steps.

    All support points lie on the left half, so that the right half shows what was meta-learned
    about sine curves in general (Li et al. 2017, figure 3).

    Args:
      model_dirs: directories of up to four sinusoid runs.
      curve_seed: the seed of the curve and its support points.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.

    Raises:
      InputError: if a run is not one of the sinusoid, if only some have a fixed frequency, or if
        there are more than four.
    """
    runs = style.chosen(model_dirs)
    for run in runs:
        if run.settings.task != "sinusoid":
            raise InputError(
                f"model_dirs={run.model_dir}: is a run of {run.settings.task}; name runs of the "
                "sinusoid"
            )
        if run.settings.fixed_frequency != runs[0].settings.fixed_frequency:
            raise InputError(
                f"model_dirs={run.model_dir}: has fixed_frequency={run.settings.fixed_frequency} "
                f"and {runs[0].model_dir} has {runs[0].settings.fixed_frequency}, so that they "
                "learn other curves; name runs with the same"
            )
    drawn = figure.Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    axes = drawn.subplots(1, len(SHOTS), sharey=True)
    grid = tf.linspace(*INPUT_RANGE, 200)[:, tf.newaxis]
    seed = tf.constant([curve_seed, 0])
    curve = uniform(fold_in(seed, 0), [3])
    for run in runs:
        family = tasks.from_flags(run.settings, ("test",))
        assert isinstance(family, Sinusoid)
        learner, _ = style.restored(run, family, checkpoint)
        for axis, shots in zip(axes, SHOTS, strict=True):
            inputs = INPUT_RANGE[0] * uniform(fold_in(seed, shots), [shots])[:, tf.newaxis]
            targets = family.targets(curve, inputs)
            if run is runs[0]:
                axis.plot(grid, family.targets(curve, grid), color="0.7", lw=4, label="curve")
                axis.plot(inputs, targets, "k^", ms=6, zorder=5, label="support set")
                axis.set(title=f"{shots} shots", xlabel="x")
            fit = learner.predict(learner.adapt(inputs, targets), grid)
            axis.plot(grid, fit, lw=1.6, label=run.label, **run.style)
    axes[0].set_ylabel("y")
    style.legend(drawn, axes[0].get_lines())
    return drawn
