"""The flags that say which devices and processes share a command's tasks.

Like a run's directory they are not kept with it: they say where its tasks are done and not what is
done, and a run that goes on with another number of workers is the same one, but for rounding.
"""

from absl import flags

DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "none",
    ("none", "mirrored", "multi_worker"),
    "Which devices share the tasks: one does them all (none), all GPUs of this machine (mirrored), "
    "or those of several processes, each started with this command (multi_worker).",
)
CLUSTER = flags.DEFINE_enum(
    "cluster",
    "tf_config",
    ("tf_config", "slurm"),
    "multi_worker: what tells a process who the others are, the variable TF_CONFIG or Slurm's.",
)
