"""Runs in half precision: resumed bit for bit, evaluated as trained, exported in float32."""

import json

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import QUICK, checkpoint_values, command
from trainers.errors import InputError

SHORT = [*QUICK, "--summary_interval=2", "--checkpoint_interval=4"]


def settings(*arguments):
    return run_flags.parse([*SHORT, *arguments])


@pytest.mark.parametrize(
    "precision", [pytest.param("mixed_bfloat16", marks=pytest.mark.slow), "mixed_float16"]
)
def test_a_resumed_run_is_the_same_and_another_precision_is_refused(precision, tmp_path):
    given = f"--precision={precision}"
    for name, parts in (("whole", (8,)), ("parts", (4, 8))):
        for last in parts:
            trainer = train_run(settings(given, f"--iterations={last}"), str(tmp_path / name))
    whole, parts = (checkpoint_values(tmp_path / name) for name in ("whole", "parts"))
    assert any("scale" in name for name in whole) == (precision == "mixed_float16")
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)
    with pytest.raises(InputError, match=f"--precision=float32 instead of {precision}"):
        train_run(settings("--iterations=9"), str(tmp_path / "whole"))
    (layer, *_) = trainer.learner.model.layers
    assert layer.compute_dtype == precision.removeprefix("mixed_")
    evaluate_run(str(tmp_path / "whole"), num_tasks=4)
    told = json.loads((tmp_path / "whole" / "evaluation.json").read_text(encoding="utf-8"))
    assert all(np.isfinite(row["mean"]) for row in told["results"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--task=navigation"],
            "precision=mixed_float16: task=navigation compares policies that are more alike than "
            "half precision can tell; should be float32",
        ),
        (
            ["--algorithm=mann"],
            "precision=mixed_float16: algorithm=mann keeps what it is shown in a memory that has "
            "no half precision; should be float32",
        ),
    ],
)
def test_what_has_no_half_precision_is_refused_before_anything_is_loaded(arguments, sentence):
    with pytest.raises(flags.Error) as refused:
        run_flags.resolve(run_flags.parse([*arguments, "--precision=mixed_float16"]))
    assert str(refused.value) == sentence


@pytest.mark.slow
def test_an_export_answers_in_float32(tmp_path):
    train_run(settings("--precision=mixed_float16", "--iterations=4"), str(tmp_path / "run"))
    done = command("export", f"--model_dir={tmp_path / 'run'}", f"--export_dir={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    (version,) = [path for path in (tmp_path / "out").iterdir() if path.name.isdigit()]
    loaded = tf.saved_model.load(str(version))
    x, y = np.ones([1, 5, 1], np.float32), np.ones([1, 5, 1], np.float32)
    answer = loaded.signatures["serving_default"](
        support_inputs=tf.constant(x), support_targets=tf.constant(y), query_inputs=tf.constant(x)
    )
    assert answer["predictions"].dtype == tf.float32
    assert np.isfinite(answer["predictions"]).all()
