"""MAML++ and Meta-LSTM through what the commands do: training, evaluation, figures and exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.evaluation.trained_runs import evaluate_run, load_run
from metasgd_tf.figures.alpha import alpha_distributions
from metasgd_tf.figures.curves import learning_curves
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from metasgd_tf.serving.writing import export
from tests.metasgd_tf.shell import events
from tests.serving_exports import Loaded
from trainers.errors import InputError

pytestmark = pytest.mark.slow

FLAGS = [
    "--task=sinusoid",
    "--model=tests.metasgd_tf.test_learners_of_many_steps:network",
    "--inner_steps=2",
    "--iterations=2",
    "--checkpoint_interval=2",
    "--summary_interval=1",
    "--validation_tasks=3",
]


def network(input_shape, output_size, seed):
    """Returns a network that normalises; it is not compiled, which takes longer than it trains."""
    keras.utils.set_random_seed(seed)
    last = keras.layers.Dense(output_size, name="last")
    last.supports_jit = False
    hidden = [keras.layers.Dense(5, name="hidden"), keras.layers.BatchNormalization(name="norm")]
    return keras.Sequential([keras.Input(input_shape), *hidden, last])


@pytest.fixture(scope="module", params=["maml_plus_plus", "meta_lstm"])
def run(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / request.param
    train_run(run_flags.parse([*FLAGS, f"--algorithm={request.param}"]), str(path))
    return path


def test_it_is_scored_after_each_step(run, one_support_set):
    report = evaluate_run(str(run), num_tasks=3, inner_steps=3).report
    assert [row["inner_steps"] for row in report["results"] if row["shots"] == 5] == [0, 1, 2, 3]
    assert (report["batch_norm"], report["alpha"]) == ("transductive", None)
    lines = (run / "evaluation.csv").read_text().splitlines()
    assert len(lines) == 1 + len(report["results"]) * 3


def test_rates_are_shown_where_it_has_some(run):
    tags = {tag for tag, _ in events(run / "train") | events(run / "validation")}
    assert {"training/loss", "mse/after", "mse/before", "task"} <= tags
    assert not [tag for tag in tags if "cosine" in tag]
    assert len(learning_curves([str(run)]).axes) > 0
    if run.name == "maml_plus_plus":
        assert {"alpha/hidden", "alpha_mean/last", "alpha_negative_share/last"} <= tags
        rows = alpha_distributions([str(run)]).axes[::2]
        assert [row.get_ylabel() for row in rows] == ["hidden", "last"]
    else:
        assert not [tag for tag in tags if "alpha" in tag]
        with pytest.raises(InputError, match="its learner has no α"):
            alpha_distributions([str(run)])


def test_its_export_answers_as_the_restored_learner_does(run, tmp_path):
    loaded_run = load_run(str(run))
    answered = Loaded(export(loaded_run, str(tmp_path)))
    random = np.random.default_rng(0)
    x, y, queries = (random.standard_normal((2, n, 1)).astype(np.float32) for n in (4, 4, 3))
    support = {"support_inputs": x, "support_targets": y}
    at_once = answered("serving_default", **support, query_inputs=queries)["predictions"]
    state = answered("adapt", **support)["state"]
    in_two = answered("predict", state=state, query_inputs=queries)["predictions"]
    np.testing.assert_allclose(in_two, at_once, atol=1e-5)
    learner = loaded_run.learner
    for number in range(2):
        learned = learner.adapt(tf.constant(x[number]), tf.constant(y[number]))
        expected = learner.predict(learned, tf.constant(queries[number]))
        np.testing.assert_allclose(at_once[number], expected, atol=1e-5)
