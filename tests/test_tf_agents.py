"""TF-Agents, which wants Keras 2, in one process with a Keras 3 model."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def drive(directory: str) -> None:
    """Drives a policy around a Keras 3 model through an environment, and saves it."""
    import keras
    import tensorflow as tf
    from tf_agents.drivers.dynamic_step_driver import DynamicStepDriver
    from tf_agents.environments.tf_environment import TFEnvironment
    from tf_agents.metrics import tf_metrics
    from tf_agents.policies.tf_policy import TFPolicy
    from tf_agents.specs import tensor_spec
    from tf_agents.trajectories import policy_step
    from tf_agents.trajectories import time_step as ts

    assert keras.__version__.startswith("3."), keras.__version__
    assert tf.keras.layers.Layer is not keras.layers.Layer

    observation_spec = tensor_spec.TensorSpec([1], tf.float32, "observation")
    action_spec = tensor_spec.BoundedTensorSpec([1], tf.float32, -1.0, 1.0, "action")

    class Rollout(TFEnvironment):
        """Two policies without an end; an action is a step and the reward is its length."""

        def __init__(self):
            super().__init__(ts.time_step_spec(observation_spec), action_spec, batch_size=2)
            self.position = tf.Variable(tf.zeros([2, 1]))

        def _current_time_step(self):
            return ts.restart(self.position.read_value(), batch_size=2)

        def _reset(self):
            self.position.assign(tf.zeros([2, 1]))
            return self._current_time_step()

        def _step(self, action):
            return ts.transition(self.position.assign_add(action), action[:, 0])

    class Policy(TFPolicy):
        """Does what the model says."""

        def __init__(self, model):
            super().__init__(ts.time_step_spec(observation_spec), action_spec)
            self.model = model

        def _variables(self):
            return [variable.value for variable in self.model.variables]

        def _action(self, time_step, policy_state, seed):
            return policy_step.PolicyStep(self.model(time_step.observation), policy_state, ())

        def _distribution(self, time_step, policy_state):
            raise NotImplementedError

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.layers[-1].bias.assign([0.5])
    policy = Policy(model)
    rollout, steps = Rollout(), tf_metrics.EnvironmentSteps()
    DynamicStepDriver(rollout, policy, observers=[steps], num_steps=6).run()
    assert int(steps.result()) == 6
    assert rollout.position.numpy().tolist() == [[1.5], [1.5]]
    save_and_load(policy, directory)


def save_and_load(policy, directory: str) -> None:
    """Saves a policy whose action is always 0.5, and has it act from there."""
    import tensorflow as tf
    from tf_agents.policies.policy_saver import PolicySaver
    from tf_agents.trajectories import time_step as ts

    PolicySaver(policy, batch_size=None).save(directory)
    saved = tf.saved_model.load(directory)
    step = ts.restart(tf.zeros([5, 1]), batch_size=5)
    assert saved.action(step).action.numpy().tolist() == [[0.5]] * 5


@pytest.mark.slow
def test_tf_agents_drives_and_saves_a_keras_3_model(tmp_path):
    # TensorFlow reads the variable when it is imported, so this needs a process of its own.
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "KERAS_BACKEND": "tensorflow"}
    program = "import sys; from tests.test_tf_agents import drive; drive(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
