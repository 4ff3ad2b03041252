"""Tasks of all 423 classes of Omniglot's test, from training to evaluation, with small drawings."""

import numpy as np
import pytest

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks import omniglot


@pytest.mark.slow
def test_423_ways_train_and_are_evaluated(monkeypatch, tmp_path):
    drawings = np.random.default_rng(0).integers(0, 256, [1623, 3, 8, 8, 1], np.uint8)
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: drawings)
    settings = [
        "--task=omniglot",
        "--model=tests.fast_network:network",
        "--algorithm=meta_sgd",
        "--ways=423",
        "--shots=1",
        "--queries=1",
        "--meta_batch_size=2",
        "--iterations=2",
        "--validation_tasks=2",
    ]
    train_run(run_flags.parse(settings), str(tmp_path))
    report = evaluate_run(str(tmp_path), num_tasks=2).report
    assert report["ways"] == 423 and report["iteration"] == 2
    # At chance, which is 0.2 %.
    assert all(0 <= row["mean"] < 0.05 for row in report["results"])
