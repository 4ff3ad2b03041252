"""Exports a run for TF Serving: `python -m metasgd_tf.export --model_dir=DIR --export_dir=OUT`.

Writes OUT/1, at the next call OUT/2 and so on: a SavedModel whose signatures adapt to a support
set and answer queries within one request. TF Serving, or TensorFlow alone, runs it without this
project.

For a run of --task=navigation the support set is trajectories, and OUT/1/assets.extra/policy holds
the policy adapted to one goal, saved in TF-Agents' format.
"""

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.flags import run_flags

MODEL_DIR = flags.DEFINE_string("model_dir", None, "The run's directory.", required=True)
flags.register_validator("model_dir", lambda path: path != "", "should name a directory")
EXPORT_DIR = flags.DEFINE_string(
    "export_dir",
    None,
    "Directory of the export's versions, one numbered folder each; created if missing.",
    required=True,
)
flags.register_validator("export_dir", lambda path: path != "", "should name a directory")
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    "last",
    run_flags.CHECKPOINT_KINDS,
    "Which checkpoint: the last one, or the best one on validation tasks.",
)
GOAL = flags.DEFINE_string(
    "goal",
    "0.3,0.3",
    "navigation: the goal x,y, in [-0.5, 0.5] each, to which the policy saved beside the "
    "SavedModel is adapted.",
)
flags.register_validator(
    "goal",
    lambda text: read_goal(text) is not None,
    "should be two numbers from -0.5 to 0.5, such as 0.3,0.3",
)
TASK_BATCHING = flags.DEFINE_enum(
    "task_batching",
    "side_by_side",
    ("side_by_side", "batched"),
    "How the export takes the tasks of a request: each operation for as many at once as fit "
    "(batched), as a GPU needs it, or each task with operations of its own, which the cores of a "
    "CPU share.",
)


def main() -> None:
    """Exports the run and prints the new version's directory."""
    from metasgd_tf import tasks
    from metasgd_tf.evaluation.trained_runs import load_run
    from metasgd_tf.serving.writing import export

    settings = run_flags.read(MODEL_DIR.value)
    if GOAL.present and settings.task != "navigation":
        raise flags.IllegalFlagValueError(
            f"goal={GOAL.value}: is for runs of --task=navigation, and model_dir={MODEL_DIR.value} "
            f"is one of {settings.task}; should be left out"
        )
    if TASK_BATCHING.value == "batched" and settings.task == "navigation":
        raise flags.IllegalFlagValueError(
            f"task_batching=batched: is for supervised tasks, and model_dir={MODEL_DIR.value} is a "
            "run of navigation; should be left out"
        )
    # An export needs only the shapes of the tasks, none of their data.
    family = tasks.from_flags(settings, ())
    run = load_run(MODEL_DIR.value, CHECKPOINT.value, family=family)
    goal = read_goal(GOAL.value)
    assert goal is not None  # The flag's validator has checked it.
    version = export(run, EXPORT_DIR.value, goal, task_batching=TASK_BATCHING.value)
    print(f"written to {version}")


def read_goal(text: str) -> tuple[float, ...] | None:
    """Parses a goal `x,y`; returns None unless it is two numbers in [-0.5, 0.5]."""
    try:
        goal = tuple(float(number) for number in text.split(","))
    except ValueError:
        return None
    return goal if len(goal) == 2 and all(-0.5 <= number <= 0.5 for number in goal) else None


if __name__ == "__main__":
    command_line.run(main)
