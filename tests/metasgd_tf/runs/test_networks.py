"""The network of a run: the family's own, or a person's by `--model`."""

import pathlib
import sys
import types

import keras
import pytest
import tensorflow as tf

from examples.clusters import Clusters
from metasgd_tf.evaluation.trained_runs import evaluate_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs import networks
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks.sinusoid import Sinusoid
from tests.metasgd_tf.shell import SMALL
from trainers.errors import InputError

FAMILY = Sinusoid(shots=5, queries=5)
OWN = """
import keras

def wide(input_shape, output_size, seed):
    start = keras.initializers.GlorotUniform(seed)
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dense(7, "tanh", kernel_initializer=start, name="wide"),
        keras.layers.Dense(output_size, name="output"),
    ])

def no_model(input_shape, output_size, seed):
    return [1, 2]

def two_outputs(input_shape, output_size, seed):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(2)])

def other_inputs(input_shape, output_size, seed):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(output_size)])

def several(input_shape, output_size, seed):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, [keras.layers.Dense(output_size)(inputs) for _ in "ab"])

def broken(input_shape, output_size, seed):
    raise KeyError("something")

def leaving(input_shape, output_size, seed):
    raise SystemExit(0)

def two_arguments(input_shape, output_size):
    return None
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """Makes `own_networks` importable, as it is for a command started beside it."""
    (tmp_path / "own_networks.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_networks", None)


def test_the_familys_own_is_the_default():
    model = networks.build(None, FAMILY, 3)
    assert [layer.units for layer in model.layers] == [40, 40, 1]


def test_a_function_is_called_with_shapes_and_seed(own_package):
    one, same, other = [
        networks.build("own_networks:wide", FAMILY, seed).get_weights() for seed in (1, 1, 2)
    ]
    assert one[0].shape == (1, 7)
    assert (one[0] == same[0]).all() and not (one[0] == other[0]).all()


def test_networks_of_this_project_go_by_the_same_way():
    family = Sinusoid(shots=5, queries=5)
    family.input_shape, family.output_size = (28, 28, 1), 5
    for name in ("models.conv4:conv4_pooled_64", "models.resnet12:resnet12"):
        built = networks.build(name, family, 0)
        assert isinstance(built, keras.Model) and built.output_shape == (None, 5)


@pytest.mark.slow
def test_a_run_keeps_its_network(own_package, tmp_path, one_support_set):
    run = tmp_path / "run"
    settings = [*SMALL, "--iterations=3", "--model=own_networks:wide"]
    trainer = train_run(run_flags.parse(settings), str(run))
    assert trainer.learner.theta[0].shape == (1, 7)
    assert "--model=own_networks:wide" in pathlib.Path(run, "flags.txt").read_text("utf-8")
    assert evaluate_run(str(run), num_tasks=2).report["iteration"] == 3
    with pytest.raises(InputError, match="--model=None instead of own_networks:wide"):
        train_run(run_flags.parse([*SMALL, "--iterations=3"]), str(run))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("no_such_package:f", "cannot be imported .*should be package.module:function"),
        ("own_networks:missing", "cannot be imported .*missing"),
        ("own_networks", "cannot be imported"),
        (":wide", "cannot be imported"),
        ("own_networks:no_model", "returned a list; should return a keras.Model"),
        (
            "own_networks:two_outputs",
            r"gives outputs of shape \(2, 2\) for 2 inputs; should give \(2, 1\)",
        ),
        (
            "own_networks:other_inputs",
            r"does not take inputs of shape \(1,\) \(ValueError: .* expected ",
        ),
        ("own_networks:several", r"gives 2 outputs; should give one of shape \(2, 1\) for 2 in"),
        ("own_networks:broken", "raised KeyError"),
        ("own_networks:two_arguments", "raised TypeError"),
        ("own_networks:leaving", r"raised SystemExit \(0\) for input_shape="),
    ],
)
def test_what_does_not_fit_is_refused(own_package, tmp_path, model, named):
    settings = run_flags.parse([*SMALL, f"--model={model}"])
    with pytest.raises(InputError, match=f"model={model}: {named}"):
        train_run(settings, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def layers_of(*layers):
    return lambda self, seed: keras.Sequential([keras.Input((8,)), *layers])


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (
            lambda self, seed: {}[seed],
            r"task=own:tasks: its model raised KeyError \(3\) for seed=3",
        ),
        (
            lambda self, seed: sys.exit(),
            r"task=own:tasks: its model raised SystemExit \(\) for seed=3",
        ),
        (
            lambda self, seed: None,
            "task=own:tasks: its model returned a NoneType; should return a keras.",
        ),
        (
            layers_of(keras.layers.Dense(2)),
            r"task=own:tasks: its model gives outputs of shape \(2, 2\)",
        ),
        (
            layers_of(keras.layers.Dense(3), keras.layers.Softmax()),
            "gives probabilities, by its la",
        ),
    ],
)
def test_a_network_of_ones_own_tasks_that_does_not_fit_is_refused(model, named):
    own = type("Own", (Clusters,), {"model": model})(3, 1, 1, ())
    with pytest.raises(InputError, match=named):
        networks.build(None, own, 3, "own:tasks")


def test_a_size_that_is_not_known_before_is_tried_with_some(monkeypatch):
    layers = [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)]
    built = keras.Sequential([keras.Input((None, 2)), *layers])
    spec = tf.TensorSpec([None, 2])
    family = types.SimpleNamespace(input_shape=(None, 2), input_spec=spec, output_size=1)
    monkeypatch.setattr(networks.user_code, "call", lambda *_, **options: built)
    assert networks.build("own:network", family, 0) is built
