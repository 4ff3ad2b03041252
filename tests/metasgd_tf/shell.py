"""Runs the commands as from a shell, and reads what they leave."""

import os
import pathlib
import subprocess
import sys

import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
SMALL = [
    "--algorithm=meta_sgd",
    "--meta_learning_rate=0.01",
    "--summary_interval=10",
    "--checkpoint_interval=20",
    "--validation_tasks=4",
    "--seed=3",
]


def command(name, *arguments, **environment):
    """Runs a command as from a shell in which nothing is set for tests."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "TFDS_DATA_DIR")
    }
    return subprocess.run(
        [sys.executable, "-m", f"metasgd_tf.{name}", *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_refused(done):
    """Returns the one sentence with which a command refused."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    return errors[0]


def checkpoint_values(model_dir):
    """Returns θ, α and the optimizer's state as they lie in the last checkpoint.

    Not the time that the training took, which no two runs share.
    """
    path = tf.train.latest_checkpoint(str(pathlib.Path(model_dir) / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VALUE")]
    return {
        name: reader.get_tensor(name)
        for name in names
        if not name.startswith(("save_counter", "seconds"))
    }
