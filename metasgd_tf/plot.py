"""Draws sinusoid runs: `python -m metasgd_tf.plot --model_dirs=DIR,DIR --output=FILE.png`.

Each run's learner fits one curve from support points on its left half (figure 3 of the paper).
"""

from absl import flags

from metasgd_tf import command_line, run_flags

MODEL_DIRS = flags.DEFINE_list("model_dirs", None, "Directories of the runs.", required=True)
OUTPUT = flags.DEFINE_string(
    "output", None, "The file to write; its ending (.png, .svg, .pdf) says how.", required=True
)
CURVE_SEED = flags.DEFINE_integer(
    "curve_seed", 0, "What the curve is drawn by.", 0, run_flags.MAX_SEED
)


def main() -> None:
    """Draws and writes."""
    from metasgd_tf import figures

    figures.save(figures.sinusoid_fits(MODEL_DIRS.value, CURVE_SEED.value), OUTPUT.value)
    print(f"written to {OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
