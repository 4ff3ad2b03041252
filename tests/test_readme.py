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
    # One task says little: the initial weights may happen to be close to its line.
    seeded = "import keras\nkeras.utils.set_random_seed(0)\n"
    check = """
before, after = [], []
for number in range(20):
    task = lines(tf.constant([number, 2]))
    fast_weights = learner.adapt(task.support_inputs, task.support_targets)
    for errors, weights in ((before, learner.theta), (after, fast_weights)):
        predicted = learner.predict(weights, task.query_inputs)
        errors.append(tf.reduce_mean((predicted - task.query_targets) ** 2))
assert sum(after) < 0.2 * sum(before), (sum(after), sum(before))

answer = tf.saved_model.load("exports/lines/1").signatures["serving_default"]
given = {name: getattr(task, name)[tf.newaxis] for name in task._fields[:3]}
error = tf.reduce_max(tf.abs(answer(**given)["predictions"][0] - predicted))
assert error < 1e-5, error

initial = keras.models.clone_model(model)
again = MetaTrainer(MetaLearner(initial, loss="mse"), lines, keras.optimizers.Adam(1e-3))
assert RunCheckpoints(again, "runs/lines").restore() == []
assert int(again.iteration) == 3000
for ours, theirs in zip(again.learner.meta_variables, learner.meta_variables, strict=True):
    assert (ours.numpy() == theirs.numpy()).all()
"""
    result = subprocess.run(
        [sys.executable, "-c", seeded + code + check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    assert "meta-training: 3000/3000" in result.stderr
    assert list((tmp_path / "runs" / "lines").glob("events.out.tfevents*"))


def test_every_command_and_file_that_it_names_is_there():
    for module in re.findall(r"python -m ([\w.]+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for path in re.findall(r"\]\(([\w/.]+)\)", README) + re.findall(r"configs/\w+\.flags", README):
        assert (ROOT / path).exists(), path
