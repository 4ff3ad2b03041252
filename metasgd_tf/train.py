"""Trains a learner: `python -m metasgd_tf.train --flagfile=configs/NAME.flags --model_dir=DIR`.

Flags after --flagfile override it. The directory keeps the resolved flags, checkpoints and
TensorBoard summaries. On Ctrl-C or SIGTERM a checkpoint is saved, from which the same command
resumes. With --distribution, devices or machines share the tasks of an iteration (docs/cluster.md).
"""

import sys

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.flags import distribution_flags, run_flags
from metasgd_tf.flags.distribution_flags import CLUSTER, DISTRIBUTION

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
for module in (*run_flags.MODULES, distribution_flags.__name__):  # So that --help lists them.
    flags.adopt_module_key_flags(sys.modules[module])


def main() -> None:
    """Trains the run and prints how many meta-iterations are done."""
    from metasgd_tf.output.notes import said
    from metasgd_tf.runs.training import train_run
    from metasgd_tf.runs.workers import Workers, strategy_for
    from trainers.devices import describe, use_cores_for_tasks

    use_cores_for_tasks()
    strategy = strategy_for(DISTRIBUTION.value, CLUSTER.value)
    shared = f", {strategy.num_replicas_in_sync} replicas" * (DISTRIBUTION.value != "none")
    print(said(f"training on {describe()}{shared}"), flush=True)
    trainer = train_run(
        flags.FLAGS,
        MODEL_DIR.value,
        profile=PROFILE.value,
        check_gradients=CHECK_GRADIENTS.value,
        strategy=strategy,
    )
    if Workers(strategy).chief:
        done = int(trainer.iteration.numpy())
        print(said(f"{MODEL_DIR.value}: {done} meta-iterations done"))


if __name__ == "__main__":
    command_line.run(main)
