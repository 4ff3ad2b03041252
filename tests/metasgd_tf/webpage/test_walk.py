"""The tab Walk lets the trained policies that ship explore, learn and walk to a goal."""

import numpy as np
import pytest

from metasgd_tf.environments.navigation import REACHED, STEP
from metasgd_tf.webpage import walk
from metasgd_tf.webpage.reading import RequestError
from tests.metasgd_tf.shell import ROOT
from trainers.errors import InputError

pytestmark = pytest.mark.slow

RUN = ROOT / "trained" / "navigation_fixed_meta_sgd_seed0"
GOAL = [-0.35, 0.2]


@pytest.fixture(scope="module")
def tab():
    return walk.WalkTab([str(RUN)])


@pytest.fixture(scope="module")
def walked(tab):
    (policy,) = tab.answer({"goal": GOAL, "seed": 4})["policies"]
    return policy


def test_walks_are_steps_from_the_origin(walked):
    assert walked["name"] == "Meta-SGD: 20 walks, 1 update"
    for moment in ("before", "after"):
        assert len(walked[moment]) == 20
        for path in map(np.array, walked[moment]):
            assert path[0].tolist() == [0, 0] and 2 <= len(path) <= 100
            assert np.abs(np.diff(path, axis=0)).max() < STEP + 0.002


def test_returns_are_those_of_the_walks(walked):
    """Each step's reward is minus the distance after it; the last position is not among these."""
    for moment in ("before", "after"):
        shown = [-np.linalg.norm(np.array(path)[1:] - GOAL, axis=1) for path in walked[moment]]
        least, most = 0.0, 0.0
        for path, rewards in zip(walked[moment], shown, strict=True):
            # What the last step leads to is at most one step away.
            last = np.linalg.norm(np.array(path[-1]) - GOAL)
            ended = len(path) < 100
            least += rewards.sum() - (REACHED * 2 if ended else last + STEP * np.sqrt(2))
            most += rewards.sum() - (0 if ended else max(last - STEP * np.sqrt(2), 0))
        assert least / 20 - 0.1 <= walked[f"return_{moment}"] <= most / 20 + 0.1


def test_an_update_leads_to_the_goal(walked):
    ends = {m: np.array([path[-1] for path in walked[m]]) for m in ("before", "after")}
    away = {m: np.linalg.norm(ends[m] - GOAL, axis=1).mean() for m in ends}
    assert away["after"] < 0.1 < away["before"]
    assert walked["return_after"] > -5 > walked["return_before"]


def test_an_answer_depends_on_its_request_alone(tab, walked):
    other = tab.answer({"goal": [0.5, -0.5], "seed": 4})["policies"][0]
    assert other["before"] != walked["before"] or other["return_before"] != walked["return_before"]
    assert tab.answer({"goal": GOAL, "seed": 4})["policies"][0] == walked
    assert tab.answer({"goal": GOAL, "seed": 5})["policies"][0]["before"] != walked["before"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"goal": [0.6, 0], "seed": 0}, r"goal\[0\]: should be a number from -0.5 to 0.5"),
        ({"goal": [0], "seed": 0}, "goal: should be two numbers"),
        ({"goal": [0, 0]}, "a field 'seed'"),
    ],
)
def test_goals_elsewhere_are_refused(tab, asked, message):
    with pytest.raises(RequestError, match=message):
        tab.answer(asked)


def test_runs_of_other_tasks_are_refused():
    other = ROOT / "trained" / "omniglot_5way1shot_meta_sgd"
    with pytest.raises(InputError, match=f"walk_model_dirs={other}: is of a run of omniglot"):
        walk.WalkTab([str(other)])
