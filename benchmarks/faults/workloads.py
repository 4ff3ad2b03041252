"""What the faults are done to: small trainings of each kind, their evaluation and their export."""

import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.faults import endings
from benchmarks.faults.commands import Command

# Many checkpoints and summaries, so that some faults come in the midst of one.
_OFTEN = ("--summary_interval=2", "--validation_tasks=2", "--seed=3")
_TRAININGS = {
    "sinusoid": ("--iterations=60", "--checkpoint_interval=10", "--meta_learning_rate=0.01"),
    "omniglot": (
        "--task=omniglot",
        "--shots=1",
        "--queries=1",
        "--meta_batch_size=2",
        "--iterations=12",
        "--checkpoint_interval=3",
    ),
    "navigation": (
        "--task=navigation",
        "--meta_batch_size=2",
        "--trajectories=2",
        "--horizon=10",
        "--iterations=6",
        "--checkpoint_interval=2",
    ),
}


class Workload(NamedTuple):
    """A command, and what it leaves.

    Attributes:
      command: gives the command by the folder that it is to write in.
      ending: gives what it has left in that folder.
    """

    command: Callable[[pathlib.Path], Command]
    ending: Callable[[pathlib.Path], endings.Ending]


def training(task: str, *more: str) -> Workload:
    """Returns the training of a task, with flags that override its own."""
    return Workload(
        lambda folder: ("train", f"--model_dir={folder}", *_OFTEN, *_TRAININGS[task], *more),
        endings.of_training,
    )


def evaluation() -> Workload:
    """Returns the evaluation of a run, which lies in the folder."""
    return Workload(
        lambda folder: ("evaluate", f"--model_dir={folder}", "--num_tasks=4"),
        endings.of_evaluation,
    )


def export(model_dir: pathlib.Path) -> Workload:
    """Returns the export of a run to the folder."""
    return Workload(
        lambda folder: ("export", f"--model_dir={model_dir}", f"--export_dir={folder}"),
        endings.of_export,
    )


def has_omniglot() -> bool:
    """Whether the environment names a data directory with the prepared Omniglot."""
    data_dir = pathlib.Path(os.environ.get("TFDS_DATA_DIR", ""))
    return (data_dir / "omniglot" / "3.0.0" / "dataset_info.json").exists()
