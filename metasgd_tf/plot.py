"""Draws runs: `python -m metasgd_tf.plot --figure=KIND --model_dirs=DIR,DIR --output=FILE.png`.

`fits` shows the fits of sinusoid learners to one curve, from support points on its left half
(figure 3 of the paper); `paths` the trajectories of navigation policies before and after the update
(figure 4); `curves` the scores on validation tasks during training; `updates` the scores on test
tasks against the number of inner steps, as `evaluate` wrote them; and `alpha` the distribution of
each layer's learned rates.
"""

from typing import TYPE_CHECKING

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.flags import run_flags

if TYPE_CHECKING:
    from matplotlib import figure

FIGURE = flags.DEFINE_enum(
    "figure", "fits", ("fits", "curves", "alpha", "updates", "paths"), "What to draw."
)
MODEL_DIRS = flags.DEFINE_list(
    "model_dirs", None, "Directories of the runs, four at most.", required=True
)
OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The file to write; its ending (.png, .svg, .pdf) sets its format.",
    required=True,
)
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    "last",
    run_flags.CHECKPOINT_KINDS,
    "fits, alpha, paths: which checkpoint of each run, the last one or the best one on validation "
    "tasks.",
)
TASK_SEED = flags.DEFINE_integer("task_seed", 0, "paths: seed of the goals.", 0, run_flags.MAX_SEED)
CURVE_SEED = flags.DEFINE_integer(
    "curve_seed", 0, "fits: seed of the curve.", 0, run_flags.MAX_SEED
)


def _paths(model_dirs: list[str]) -> "figure.Figure":
    # It imports TF-Agents, which the other figures do not need.
    from metasgd_tf.figures import paths

    return paths.figure_of_paths(model_dirs, TASK_SEED.value, CHECKPOINT.value)


def main() -> None:
    """Draws the figure and writes it to the file."""
    from metasgd_tf.figures import alpha, curves, fits, style, updates

    style.refuse_other_endings(OUTPUT.value)
    draw = {
        "fits": lambda runs: fits.sinusoid_fits(runs, CURVE_SEED.value, CHECKPOINT.value),
        "curves": curves.learning_curves,
        "alpha": lambda runs: alpha.alpha_distributions(runs, CHECKPOINT.value),
        "updates": updates.scores_by_updates,
        "paths": _paths,
    }[FIGURE.value]
    style.save(draw(MODEL_DIRS.value), OUTPUT.value)
    print(f"written to {OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
