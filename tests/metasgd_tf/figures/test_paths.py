"""The figure of paths: the same goals for every run, before an update and after it."""

import numpy as np
import pytest

from metasgd_tf import tasks
from metasgd_tf.figures import paths
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError


def make_run(path, *arguments):
    """Writes a run of navigation that has not trained."""
    given = ["--task=navigation", "--horizon=5", "--trajectories=2", *arguments]
    settings = run_flags.resolve(run_flags.parse([*given, "--optimizer=adam"]))
    family = tasks.from_flags(settings, ())
    learner = build_learner(family, settings)
    settings.alpha_init = learner.alpha.initial_value
    saved = RunCheckpoints(
        family.trainer(learner, None, meta_batch_size=1, seed=0), str(path), "max"
    )
    saved.save(0.0)
    run_flags.write(settings, str(path))
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    return [
        make_run(path / "one", "--alpha_init=0.0", "--seed=1"),
        make_run(path / "other", "--algorithm=maml", "--alpha_init=2.0", "--seed=1"),
    ]


@pytest.fixture(scope="module")
def drawn(runs):
    return paths.figure_of_paths(runs, 3)


def crosses(axes):
    """Returns where the goal of a plot is."""
    (line,) = (line for line in axes.get_lines() if line.get_marker() == "X")
    return np.ravel(line.get_xydata())


def test_runs_move_to_the_same_goals_before_and_after(drawn):
    grid = np.reshape(drawn.axes, (4, 4))
    labels = [row[0].get_ylabel().replace("\n", " ") for row in grid]
    assert labels == [
        "Meta-SGD 1 step before",
        "Meta-SGD 1 step after",
        "MAML 1 step before",
        "MAML 1 step after",
    ]
    goals = np.array([[crosses(axes) for axes in row] for row in grid])
    np.testing.assert_array_equal(goals, np.broadcast_to(goals[0], goals.shape))
    assert len(np.unique(goals[0], axis=0)) == 4 and np.all(np.abs(goals) <= 0.5)


@pytest.mark.slow
def test_the_figure_is_a_function_of_its_seed(runs, drawn):
    again = paths.figure_of_paths(runs[:1], 3)
    for one, other in zip(drawn.axes[:8], again.axes, strict=True):
        for line, same in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())
    other_goals = paths.figure_of_paths(runs[:1], 4)
    assert not np.array_equal(crosses(other_goals.axes[0]), crosses(drawn.axes[0]))


def test_a_run_of_another_task_is_refused(runs, tmp_path):
    run_flags.write(run_flags.resolve(run_flags.parse([])), str(tmp_path))
    with pytest.raises(InputError, match="is a run of sinusoid; name runs of navigation"):
        paths.figure_of_paths([runs[0], str(tmp_path)], 0)
