"""The policy beside an export: whose weights it acts by, and that TensorFlow alone runs it."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.environments.navigation import goals
from metasgd_tf.flags import run_flags
from metasgd_tf.serving import agents
from tests.metasgd_tf.shell import assert_refused, command
from tests.serving_exports import assert_plain, navigation_run
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.learners.meta_sgd import MetaLearner
from trainers.policies.experience import learning
from trainers.policies.rollouts import outputs_of_tasks

pytestmark = pytest.mark.slow

STATES = np.random.default_rng(0).uniform(-0.5, 0.5, (7, 2)).astype(np.float32)

# Acts by the policy without this project, TF-Agents or TensorFlow Probability.
FRESH = """
import collections, importlib.abc, sys

class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        barred = ("metasgd_tf", "trainers", "models", "tf_agents", "tensorflow_probability")
        if name.split(".")[0] in barred:
            raise ImportError(name + " is not TensorFlow")

sys.meta_path.insert(0, Nothing())
folder, states_file, given_file = sys.argv[1:]
import numpy as np
import tensorflow as tf

TimeStep = collections.namedtuple("TimeStep", "step_type reward discount observation")
policy = tf.saved_model.load(folder)
states = np.load(states_file)
given, state = [], policy.get_initial_state(1)
for place in states:
    time_step = TimeStep(tf.constant([1]), tf.zeros([1]), tf.ones([1]), tf.constant(place[None]))
    step = policy.action(time_step, state)
    given.append(step.action[0])
    state = step.state
assert state.numpy().tolist() == [len(states)]
np.save(given_file, np.stack(given))
"""


def likeliest(run, weights):
    outputs = outputs_of_tasks(run.learner.pure_model, weights, tf.constant(STATES[np.newaxis]))
    return outputs[0, :, :2].numpy()


def acted(folder):
    """Returns what a saved policy does in `STATES`."""
    signature = tf.saved_model.load(str(folder)).signatures["action"]
    count = len(STATES)
    given = signature(
        **{
            "0/step_type": tf.zeros([count], tf.int32),
            "0/reward": tf.zeros([count]),
            "0/discount": tf.ones([count]),
            "0/observation": tf.constant(STATES),
            "1": tf.zeros([count], tf.int32),
        }
    )
    return given["action"].numpy()


def test_a_goal_is_learned_as_in_training():
    run = navigation_run("--inner_steps=2")
    seeds = tf.constant([[5, 6]])
    goal = goals(seeds)[0].numpy().tolist()
    learn = learning(run.learner, run.family.environment(1), run.family.advantages, steps=2)
    expected, _ = tf.function(learn, autograph=False)(seeds, agents.SEED)[-1]
    given = agents.adapted_to(goal, run.learner, run.family)
    for weight, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=0, atol=1e-5)


def test_the_policy_goes_where_it_learned_to_go():
    run = navigation_run("--trajectories=40")
    origin = tf.zeros([1, 1, 2])
    for goal in ((0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):
        weights = agents.adapted_to(goal, run.learner, run.family)
        action = outputs_of_tasks(run.learner.pure_model, weights, origin)[0, 0, :2].numpy()
        before = run.learner.model(origin[0]).numpy()[0, :2]
        assert np.all((action - before) * goal > 0.01), (goal, before, action)


def test_a_saved_policy_acts_by_the_adapted_weights(exports):
    run, version = exports("navigation")
    weights = agents.adapted_to((0.3, 0.3), run.learner, run.family)
    given = acted(version / "assets.extra" / "policy")
    np.testing.assert_allclose(given, likeliest(run, weights), rtol=0, atol=1e-5)
    assert np.abs(given - run.learner.model(STATES).numpy()[:, :2]).max() > 0.01


def test_tensorflow_alone_runs_a_saved_policy(exports, tmp_path):
    run, version = exports("navigation")
    folder = version / "assets.extra" / "policy"
    np.save(tmp_path / "states.npy", STATES)
    done = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, str(folder), "states.npy", "given.npy"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    weights = agents.adapted_to((0.3, 0.3), run.learner, run.family)
    given = np.load(tmp_path / "given.npy")
    np.testing.assert_allclose(given, likeliest(run, weights), rtol=0, atol=1e-5)


def test_a_saved_policy_is_plain_and_small(exports):
    _, version = exports("navigation")
    folder = version / "assets.extra" / "policy"
    assert_plain(folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 500_000
    for file in files:
        text = file.read_bytes()
        assert os.getcwd().encode() not in text and str(version.parent).encode() not in text


def test_a_network_with_moving_averages_is_saved(tmp_path):
    run = navigation_run()
    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    learner = MetaLearner(model, run.family.loss, alpha_init=0.1)
    weights = [weight.value[tf.newaxis] for weight in learner.theta]
    agents.save(weights, learner, run.family, tmp_path / "policy")
    outputs = outputs_of_tasks(learner.pure_model, weights, tf.constant(STATES[np.newaxis]))
    given = acted(tmp_path / "policy")
    np.testing.assert_allclose(given, outputs[0, :, :2], rtol=0, atol=1e-5)


def test_the_command_adapts_to_the_goal_that_it_is_given(tmp_path):
    run, model_dir, out = navigation_run(), str(tmp_path / "run"), tmp_path / "out"
    run_flags.write(run.settings, model_dir)
    trainer = run.family.trainer(run.learner, None, meta_batch_size=1, seed=0)
    RunCheckpoints(trainer, model_dir).save()
    done = command("export", f"--model_dir={model_dir}", f"--export_dir={out}", "--goal=-0.5,0.25")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written to {out / '1'}\n" and not done.stderr
    facts = json.loads((out / "1" / "assets.extra" / "export.json").read_text(encoding="utf-8"))
    assert facts["goal"] == [-0.5, 0.25]
    weights = agents.adapted_to((-0.5, 0.25), run.learner, run.family)
    given = acted(out / "1" / "assets.extra" / "policy")
    np.testing.assert_allclose(given, likeliest(run, weights), rtol=0, atol=1e-5)


def test_a_goal_is_refused_for_supervised_runs(tmp_path):
    run = tmp_path / "run"
    run_flags.write(run_flags.parse(["--task=sinusoid"]), str(run))
    done = command(
        "export", f"--model_dir={run}", f"--export_dir={tmp_path / 'out'}", "--goal=0.1,0.1"
    )
    sentence = assert_refused(done)
    assert "goal=0.1,0.1: is for runs of --task=navigation" in sentence and "sinusoid" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("goal", ["0.3", "0.3,0.3,0.3", "0.3,0.6", "nan,0.1", "here,there", ""])
def test_what_is_no_goal_is_refused(tmp_path, goal):
    done = command("export", "--model_dir=x", f"--export_dir={tmp_path / 'out'}", f"--goal={goal}")
    sentence = assert_refused(done)
    assert f"--goal={goal}: should be two numbers from -0.5 to 0.5" in sentence
    assert not (tmp_path / "out").exists()
