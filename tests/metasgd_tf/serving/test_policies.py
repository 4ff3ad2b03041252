"""What exported policies answer against the trainer's own adaptation, and what they refuse."""

import json

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.serving.policies import acting
from metasgd_tf.serving.signatures import policy_signatures
from tests.serving_exports import Loaded, Served, answered_elsewhere, navigation_run
from trainers.policies.experience import adapt_tasks, learning
from trainers.policies.rollouts import outputs_of_tasks
from trainers.policies.trajectories import Trajectories
from trainers.seeds import split_seed

TASKS = 3


def rollout(run):
    """Returns what the trainer's policy met in some tasks, and the weights that it learned."""
    environment = run.family.environment(TASKS)
    learn = tf.function(
        learning(run.learner, environment, run.family.advantages, steps=1), autograph=False
    )
    (_, met), (weights, _) = learn(split_seed(tf.constant([1, 2]), TASKS), tf.constant([3, 4]))
    return met, weights


def cut(met):
    """Returns trajectories of which some ended before the horizon."""
    mask = (
        np.arange(met.mask.shape[2])
        < np.array([[6, 3, 1, 5], [6, 6, 6, 6], [2, 1, 4, 1]])[..., None]
    )
    return met._replace(rewards=met.rewards * mask, mask=tf.constant(mask.astype(np.float32)))


def adapted(run, met):
    weights = [
        tf.repeat(weight.value[None], met.mask.shape[0], axis=0) for weight in run.learner.theta
    ]
    for _ in range(run.learner.inner_steps):
        weights = adapt_tasks(run.learner, weights, *run.family.advantages.examples(met))
    return weights


def request(met, queries):
    return {key: value.numpy() for key, value in met._asdict().items()} | {
        "query_observations": queries
    }


def states(tasks, count):
    return np.random.default_rng(count).uniform(-0.5, 0.5, (tasks, count, 2)).astype(np.float32)


def assert_acts(run, weights, queries, given):
    outputs = outputs_of_tasks(run.learner.pure_model, weights, tf.constant(queries)).numpy()
    np.testing.assert_allclose(given["actions"], outputs[..., :2], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        given["standard_deviations"], np.exp(outputs[..., 2:]), rtol=0, atol=1e-5
    )
    assert given["actions"].dtype == given["standard_deviations"].dtype == np.float32


@pytest.fixture(scope="module")
def met(exports):
    return rollout(exports("navigation")[0])


@pytest.mark.parametrize("loader", [Loaded, Served])
def test_an_export_acts_as_the_trainer_learned(exports, served, met, loader):
    run, _ = exports("navigation")
    ask = served(loader, "navigation")
    trajectories, weights = met
    queries = states(TASKS, 5)
    assert_acts(run, weights, queries, ask("serving_default", **request(trajectories, queries)))
    # Other numbers of everything, in the same graph.
    fewer = cut(trajectories)
    assert_acts(
        run, adapted(run, fewer), queries, ask("serving_default", **request(fewer, queries))
    )
    small = Trajectories(*(value[:1, :2, :4] for value in trajectories))
    queries = states(1, 1)
    assert_acts(
        run, adapted(run, small), queries, ask("serving_default", **request(small, queries))
    )


def test_trajectories_change_what_it_does(exports, served, met):
    """Else the tests above would hold for a policy that learns nothing."""
    run, _ = exports("navigation")
    queries = states(TASKS, 5)
    given = served(Loaded, "navigation")("serving_default", **request(met[0], queries))
    for task, other in ((0, 1), (1, 2)):
        assert np.abs(given["actions"][task] - given["actions"][other]).max() > 1e-2
    before = run.learner.model(queries.reshape(-1, 2)).numpy().reshape(TASKS, 5, 4)
    assert np.abs(given["actions"] - before[..., :2]).max() > 0.05
    assert np.abs(given["standard_deviations"] - np.exp(before[..., 2:])).max() > 0.01


@pytest.mark.slow
def test_tensorflow_alone_acts_as_the_trainer_learned(exports, met, tmp_path):
    run, version = exports("navigation")
    queries = states(TASKS, 5)
    (given,) = answered_elsewhere([(version, request(met[0], queries))], tmp_path)
    for loader in ("load", "session"):
        ours = {name: given[f"{loader}/{name}"] for name in ("actions", "standard_deviations")}
        assert_acts(run, met[1], queries, ours)


@pytest.mark.slow
def test_it_adapts_by_the_settings_of_its_run():
    run = navigation_run(
        "--inner_steps=2",
        "--inner_discount=0.9",
        "--inner_gae_lambda=0.5",
        "--noinner_normalise",
        "--inner_times_reward",
        "--surrogate=dice",
        "--entropy_weight=0.1",
    )
    function = policy_signatures(acting(run.learner, run.family), (2,), 2)[
        "serving_default"
    ].function
    trajectories = cut(rollout(run)[0])
    queries = states(TASKS, 5)
    given = function(**request(trajectories, queries))
    assert_acts(
        run,
        adapted(run, trajectories),
        queries,
        {name: value.numpy() for name, value in given.items()},
    )


def test_an_export_says_what_it_was_trained_on(exports):
    _, version = exports("navigation")
    facts = json.loads((version / "assets.extra" / "export.json").read_text(encoding="utf-8"))
    expected = {
        "task": "navigation",
        "input_shape": [2],
        "trajectories": 4,
        "horizon": 6,
        "inner_discount": 0.99,
        "inner_gae_lambda": 1.0,
        "inner_normalise": True,
        "inner_times_reward": False,
        "goal": [0.3, 0.3],
        "inner_steps": 1,
    }
    assert {name: facts[name] for name in expected} == expected
    assert "ways" not in facts


def test_its_signature_shows_the_shapes(served):
    signatures = served(Served, "navigation").signatures
    assert {name for name in signatures if not name.startswith("__")} == {"serving_default"}

    def shapes(infos):
        return {
            name: [dimension.size for dimension in info.tensor_shape.dim]
            for name, info in infos.items()
        }

    signature = signatures["serving_default"]
    assert shapes(signature.inputs) == {
        "observations": [-1, -1, -1, 2],
        "actions": [-1, -1, -1, 2],
        "rewards": [-1, -1, -1],
        "mask": [-1, -1, -1],
        "query_observations": [-1, -1, 2],
    }
    assert shapes(signature.outputs) == {
        "actions": [-1, -1, 2],
        "standard_deviations": [-1, -1, 2],
    }


GOOD = {
    "observations": states(2, 12).reshape(2, 3, 4, 2),
    "actions": states(2, 24)[:, :12].reshape(2, 3, 4, 2),
    "rewards": -np.ones([2, 3, 4], np.float32),
    "mask": np.ones([2, 3, 4], np.float32),
    "query_observations": states(2, 5),
}


def changed(name, value, place):
    array = GOOD[name].copy()
    array[place] = value
    return {name: array}


BAD = {
    "rank": ({"observations": GOOD["observations"][0]}, r"observations: .*\[B, N, H, 2\].*3 4 2"),
    "rank of actions": ({"actions": GOOD["actions"][..., 0]}, r"actions: .*\[B, N, H, 2\], not"),
    "rank of rewards": ({"rewards": GOOD["rewards"][..., None]}, r"rewards: .*\[B, N, H\], not"),
    "a scalar": ({"mask": np.float32(1)}, r"mask: should be of shape \[B, N, H\]"),
    "rank of queries": ({"query_observations": states(1, 5)[0]}, r"query_observations: .*M, 2\]"),
    "size": ({"observations": GOOD["observations"][..., :1]}, "observations: should be of shape"),
    "fewer steps": ({"actions": GOOD["actions"][:, :, :3]}, "actions: .*each of observations.*ste"),
    "fewer rewards": ({"rewards": GOOD["rewards"][:, :2]}, "rewards: .*each of observations"),
    "fewer masks": ({"mask": GOOD["mask"][:1]}, "mask: should be one for each of observations"),
    "other tasks": ({"query_observations": states(3, 5)}, "as many tasks as observations"),
    "no trajectories": (
        {name: value[:, :0] for name, value in GOOD.items() if name != "query_observations"},
        "observations: holds nothing; give at least one task, trajectory and step",
    ),
    "no steps": (
        {name: value[:, :, :0] for name, value in GOOD.items() if name != "query_observations"},
        "observations: holds nothing",
    ),
    "no tasks": ({name: value[:0] for name, value in GOOD.items()}, "observations: holds nothing"),
    "no queries": ({"query_observations": states(2, 0)}, "query_observations: holds nothing"),
    "NaN": (changed("observations", np.nan, (0, 1, 2, 0)), "observations: holds NaN or inf"),
    "infinite action": (changed("actions", np.inf, (0, 1, 2, 0)), "actions: holds NaN or infinity"),
    "infinite reward": (changed("rewards", -np.inf, (1, 2, 3)), "rewards: holds NaN or infinity"),
    "NaN in the mask": (changed("mask", np.nan, (1, 2, 3)), "mask: holds NaN or infinity"),
    "NaN asked": (changed("query_observations", np.nan, (0, 0)), "query_observations: holds NaN"),
    "half a step": (changed("mask", 0.5, (0, 0, 3)), r"mask: should be 0 or 1, not\] \[0.5\]"),
    "an end undone": (changed("mask", 0, (0, 0, 2)), "mask: should be 1 from the first"),
    "no first step": (changed("mask", 0, (0, 0)), "mask: should be 1 from the first step"),
    "too far": (
        {"observations": GOOD["observations"] * np.float32(3e38)},
        "not finite: give small",
    ),
    "too dear": (changed("actions", 1e30, (0, 0)), "smaller observations, actions or rewards"),
}


@pytest.mark.parametrize("loader", [Loaded, Served])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_with_a_sentence(served, loader, name):
    ask = served(loader, "navigation")
    before = ask("serving_default", **GOOD)
    change, message = BAD[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask("serving_default", **GOOD | change)
    after = ask("serving_default", **GOOD)
    for output, values in after.items():
        np.testing.assert_array_equal(values, before[output])
        assert np.all(np.isfinite(values))
