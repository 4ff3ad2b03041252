"""Exports a run for TF Serving: `python -m metasgd_tf.export --model_dir=DIR --export_dir=OUT`.

Writes OUT/1, at the next call OUT/2 and so on: a SavedModel whose signatures adapt to a support
set and answer queries within one request. TF Serving, or TensorFlow alone, needs nothing of this
project to run it.
"""

from absl import flags

from metasgd_tf import command_line, run_flags

MODEL_DIR = flags.DEFINE_string("model_dir", None, "The run's directory.", required=True)
flags.register_validator("model_dir", lambda path: path != "", "should name a directory")
EXPORT_DIR = flags.DEFINE_string(
    "export_dir",
    None,
    "Where the versions of the export lie, a numbered folder each; made where missing.",
    required=True,
)
flags.register_validator("export_dir", lambda path: path != "", "should name a directory")
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    "last",
    run_flags.CHECKPOINT_KINDS,
    "The learner as training left it last, or as it was best on validation tasks.",
)


def main() -> None:
    """Exports, and says where."""
    from metasgd_tf import tasks
    from metasgd_tf.evaluation import load_run
    from metasgd_tf.serving.writing import export

    # What the tasks look like is enough: an export needs none of their data.
    family = tasks.from_flags(run_flags.read(MODEL_DIR.value), ())
    run = load_run(MODEL_DIR.value, CHECKPOINT.value, family=family)
    version = export(run, EXPORT_DIR.value)
    print(f"written to {version}")


if __name__ == "__main__":
    command_line.run(main)
