"""What the README shows is run as it stands there."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_dozen_lines_learn_from_any_directory(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    check = """
errors = learner.predict(fast_weights, task.query_inputs) - task.query_targets
before = learner.predict(learner.theta, task.query_inputs) - task.query_targets
assert tf.reduce_mean(errors**2) < 0.2 * tf.reduce_mean(before**2), (errors, before)
"""
    result = subprocess.run(
        [sys.executable, "-c", code + check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr


def test_every_command_and_file_that_it_names_is_there():
    for module in re.findall(r"python -m ([\w.]+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for path in re.findall(r"\]\(([\w/.]+)\)", README) + re.findall(r"configs/\w+\.flags", README):
        assert (ROOT / path).exists(), path
