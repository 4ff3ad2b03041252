"""Table 4: 2D navigation, trained by several seeds and evaluated anew, start by start."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from metasgd_tf.evaluation.comparison import paired_difference
from metasgd_tf.evaluation.reports import Evaluation
from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.output.provenance import provenance
from metasgd_tf.reproduction import markdown
from metasgd_tf.reproduction.published import LEARNERS, STARTS, TABLE_4
from metasgd_tf.reproduction.table_files import TableFile
from metasgd_tf.runs.training import train_run
from trainers.supervised.evaluation import mean_and_ci95

SEEDS = (0, 1, 2)
METRIC = "return"


class Trained(NamedTuple):
    """A run of the table.

    Attributes:
      settings: its flags.
      evaluation: its evaluation on the test goals.
    """

    settings: flags.FlagValues
    evaluation: Evaluation


def reproduce(output_dir: str, starts: Sequence[str] = STARTS) -> dict[str, Any]:
    """Trains and evaluates both learners with each seed, and writes `table4.json` and `.md`.

    A finished run is only evaluated, and an interrupted one is resumed. Other starts in the files
    are kept.

    Args:
      output_dir: holds a run's directory for each start, learner and seed, and the two files.
      starts: some of `STARTS`.

    Returns:
      The contents of the JSON file. Each start has `results`, a row for each learner and number of
      updates; `seeds`, the same for each seed alone; `differences`, Meta-SGD minus MAML on
      identical goals; and the provenance.

    Raises:
      InputError: if the directory holds other runs or another table.
    """
    output = pathlib.Path(output_dir)
    head = {"table": 4, "task": "navigation", "metric": METRIC}
    file = TableFile(output / "table4.json", head, "starts", STARTS, markdown.navigation)
    file.read()  # Another table's is refused before anything slow starts.
    for start in starts:
        made = _start(output, start)
        with file.changed() as table:
            table["starts"][start] = made
    return file.read()


def _start(output: pathlib.Path, start: str) -> dict[str, Any]:
    results, seeds = [], []
    means: dict[str, np.ndarray] = {}
    for algorithm in LEARNERS:
        config = f"navigation_{start}_{algorithm}"
        runs = [_train(output, config, seed) for seed in SEEDS]
        # Confidence intervals are over goals: a goal's return is its mean over the seeds.
        means[algorithm] = np.mean([_returns(run) for run in runs], axis=0)
        results += _rows(algorithm, means[algorithm], paper=TABLE_4[start, algorithm])
        for run in runs:
            report = run.evaluation.report
            seeds.append(
                {
                    "algorithm": algorithm,
                    "config": f"configs/{config}.flags",
                    "seed": run.settings.seed,
                    "returns": [float(mean) for mean in _returns(run).mean(axis=0)],
                    "iteration": report["iteration"],
                    "training_seconds": report["training_seconds"],
                    "reward": run.settings.reward,
                    "trajectories": run.settings.trajectories,
                }
            )
    differences = [
        {
            "updates": updates,
            **paired_difference(means["meta_sgd"][:, updates], means["maml"][:, updates]),
        }
        for updates in range(means["maml"].shape[1])
    ]
    return {
        "results": results,
        "seeds": seeds,
        "differences": differences,
        **provenance(),
    }


def _train(output: pathlib.Path, config: str, seed: int) -> Trained:
    model_dir = str(output / f"{config}_seed{seed}")
    settings = run_flags.of_config(config, f"--seed={seed}")
    train_run(settings, model_dir)
    return Trained(settings, evaluate_run(model_dir))


def _returns(run: Trained) -> np.ndarray:
    """Returns the returns of each goal after each number of updates, [num_tasks, updates + 1]."""
    (scores,) = run.evaluation.per_task.values()
    return scores[METRIC]


def _rows(algorithm: str, returns: np.ndarray, paper: tuple[float, float]) -> list[dict[str, Any]]:
    rows = []
    for updates in range(returns.shape[1]):
        mean, ci95 = mean_and_ci95(returns[:, updates])
        row: dict[str, Any] = {"algorithm": algorithm, "updates": updates}
        row |= {"mean": mean, "ci95": ci95, "num_tasks": len(returns), "num_seeds": len(SEEDS)}
        if updates == 1:
            row |= {"paper_mean": paper[0], "paper_ci95": paper[1]}
        rows.append(row)
    return rows
