"""The figure of paths: trajectories of navigation policies before and after adaptation."""

from collections.abc import Sequence

import matplotlib
import tensorflow as tf
from matplotlib import figure

from metasgd_tf import tasks
from metasgd_tf.drawing import paths
from metasgd_tf.figures import style
from metasgd_tf.tasks.navigation import Navigation
from trainers.errors import InputError
from trainers.families import Part
from trainers.seeds import stream


@matplotlib.rc_context(style.LOOK)
def figure_of_paths(
    model_dirs: Sequence[str], task_seed: int, checkpoint: str = "last"
) -> figure.Figure:
    """Draws paths to the same goals for each run, before and after adaptation.

    Source: Li et al. 2017, figure 4.

    Args:
      model_dirs: directories of up to four runs of navigation.
      task_seed: the seed of goals, starts and actions.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.

    Raises:
      InputError: if a run is not one of navigation, or there are more than four.
    """
    runs = style.chosen(model_dirs)
    rows: dict[str, paths.Paths] = {}
    goals = None
    for run in runs:
        if run.settings.task != "navigation":
            raise InputError(
                f"model_dirs={run.model_dir}: is a run of {run.settings.task}; name runs of "
                "navigation"
            )
        family = tasks.from_flags(run.settings, ("test",))
        assert isinstance(family, Navigation)
        learner, _ = style.restored(run, family, checkpoint)
        (protocol,) = family.protocols(None)
        shown = family.shown(learner, protocol, Part("test", stream(task_seed, "test")))
        goals, *rollouts = tf.nest.map_structure(lambda value: value.numpy(), shown())
        for moment, paths_of_run in zip(("before", "after"), rollouts, strict=True):
            rows["\n".join([*run.label.split(", "), moment])] = paths_of_run
    assert goals is not None
    return paths.draw(goals, rows)
