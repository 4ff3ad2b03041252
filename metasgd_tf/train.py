"""Trains a learner: `python -m metasgd_tf.train --flagfile=configs/NAME.flags --model_dir=DIR`.

Flags after --flagfile override it. The directory keeps the resolved flags, checkpoints and
TensorBoard summaries. On Ctrl-C or SIGTERM a checkpoint is saved, from which the same command
resumes.
"""

import sys

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.flags import run_flags

MODEL_DIR = flags.DEFINE_string("model_dir", None, "The run's directory.", required=True)
PROFILE = flags.DEFINE_bool(
    "profile", False, "Whether to trace a few iterations for TensorBoard's profiler."
)
CHECK_GRADIENTS = flags.DEFINE_bool(
    "check_gradients",
    False,
    "Whether to compare the meta-gradient of a task with central differences before training, and "
    "say whether it can be trusted.",
)
flags.register_validator("model_dir", lambda path: path != "", "should name a directory")
run_flags.define_run_flags(flags.FLAGS)
for module in run_flags.MODULES:  # So that --help lists them.
    flags.adopt_module_key_flags(sys.modules[module])


def main() -> None:
    """Trains the run and prints how many meta-iterations are done."""
    from metasgd_tf.runs.training import train_run
    from trainers.devices import describe, use_cores_for_tasks

    use_cores_for_tasks()
    print(f"training on {describe()}")
    trainer = train_run(
        flags.FLAGS,
        MODEL_DIR.value,
        profile=PROFILE.value,
        check_gradients=CHECK_GRADIENTS.value,
    )
    print(f"{MODEL_DIR.value}: {int(trainer.iteration.numpy())} meta-iterations done")


if __name__ == "__main__":
    command_line.run(main)
