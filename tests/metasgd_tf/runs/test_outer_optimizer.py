"""The outer optimizer by its flags: what it does to θ and to α, by hand and by Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from metasgd_tf.evaluation.trained_runs import load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.outer_optimizer import outer_optimizer
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import SMALL, checkpoint_values
from trainers.learners.meta_sgd import MetaLearner


def optimizer_of(*arguments):
    return outer_optimizer(run_flags.resolve(run_flags.parse([*SMALL, *arguments])))


@pytest.mark.parametrize(
    ("decay", "shares"),
    [
        ("none", [0.25, 0.5, 1, 1, 1]),
        ("linear", [0.25, 0.5 * 0.9, 0.7, 0.5, 0]),
        (
            "cosine",
            [
                0.25,
                0.25 * (1 + np.cos(np.pi / 10)),
                *(np.cos([0.15 * np.pi, 0.25 * np.pi]) ** 2),
                0,
            ],
        ),
    ],
)
def test_the_learning_rate_rises_at_first(decay, shares):
    optimizer = optimizer_of(
        "--meta_learning_rate=0.4", f"--decay={decay}", "--iterations=10", "--warmup_iterations=4"
    )
    for iteration, share in zip((0, 1, 3, 5, 10), shares, strict=True):
        optimizer.iterations.assign(iteration)
        assert float(optimizer.learning_rate) == pytest.approx(0.4 * share, abs=1e-7)


def learner():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    return MetaLearner(model, "mse", alpha_init=0.5)


def moved(made, optimizer, steps=3):
    """Returns by how much steps with the same gradients move θ and α, which start at 1 and 0.5."""
    variables = made.meta_variables
    for number, variable in enumerate(variables):
        variable.assign(tf.fill(variable.shape, 1.0 if number < len(made.theta) else 0.5))
    before = [tf.convert_to_tensor(variable).numpy() for variable in variables]
    optimizer.build(variables)
    random = np.random.default_rng(0)
    apply = tf.function(lambda given: optimizer.apply(given, variables))
    for _ in range(steps):
        apply([tf.constant(random.normal(size=v.shape), tf.float32) for v in variables])
    return [np.subtract(variable, old) for variable, old in zip(variables, before, strict=True)]


def test_alpha_may_have_a_learning_rate_of_its_own():
    made = learner()
    plain = moved(made, optimizer_of())
    other = moved(made, optimizer_of("--alpha_rate_factor=3"))
    for number, (one, two) in enumerate(zip(plain, other, strict=True)):
        factor = 1 if number < len(made.theta) else 3
        np.testing.assert_allclose(two, factor * one, rtol=2e-3)  # As θ and α are about 1.


def test_a_learning_rate_of_its_own_for_alpha_goes_with_a_bound_of_the_gradient():
    assert optimizer_of("--alpha_rate_factor=3", "--clip_norm=0.5").global_clipnorm == 0.5


def test_a_layer_of_the_name_alpha_keeps_the_rate_of_theta():
    start = keras.Input((1,))
    made = MetaLearner(keras.Model(start, keras.layers.Dense(1, name="alpha")(start)), "mse")
    assert made.theta[0].path == "alpha/kernel"
    plain = moved(made, optimizer_of(), 1)
    other = moved(made, optimizer_of("--alpha_rate_factor=3"), 1)
    for one, two in zip(plain[:2], other[:2], strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-5)


def test_weight_decay_is_that_of_the_kernels():
    made = learner()
    plain = moved(made, optimizer_of("--meta_learning_rate=0.1"), 1)
    decayed = moved(made, optimizer_of("--meta_learning_rate=0.1", "--weight_decay=0.2"), 1)
    names = [variable.path.rpartition("/")[2] for variable in made.theta]
    assert names == ["kernel", "bias", "gamma", "beta"]
    for number, (one, other) in enumerate(zip(plain, decayed, strict=True)):
        taken = 0.1 * 0.2 * 1.0 if number == 0 else 0.0
        np.testing.assert_allclose(other, one - taken, atol=1e-6)


def test_moving_averages_are_kept_where_they_are_asked_for():
    assert not optimizer_of().use_ema
    for kind in ("adam", "sgd"):
        optimizer = optimizer_of("--ema_momentum=0.99", f"--optimizer={kind}")
        assert optimizer.use_ema and optimizer.ema_momentum == 0.99
        assert optimizer.ema_overwrite_frequency is None


@pytest.mark.slow
def test_a_run_with_all_of_them_goes_on_as_if_it_had_not_been_interrupted(tmp_path):
    averaged = [*SMALL, "--model=tests.fast_network:of_numbers", "--ema_momentum=0.5"]
    averaged.append("--checkpoint_interval=2")
    averaged += ["--weight_decay=0.1", "--alpha_rate_factor=3", "--warmup_iterations=5"]
    for name, parts in (("whole", (4,)), ("parts", (2, 4))):
        for iterations in parts:
            settings = run_flags.parse([*averaged, f"--iterations={iterations}"])
            trainer = train_run(settings, str(tmp_path / name))
    whole, parts = (checkpoint_values(tmp_path / name) for name in ("whole", "parts"))
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)
    # What is evaluated and exported are the averages, and not what training ended with.
    loaded = load_run(str(tmp_path / "parts")).learner.meta_variables
    for number, variable in enumerate(loaded):
        saved = parts[f"averages/{number}/.ATTRIBUTES/VARIABLE_VALUE"]
        np.testing.assert_array_equal(variable, saved)
    ended = trainer.learner.meta_variables
    assert any(np.abs(np.subtract(a, b)).max() > 1e-5 for a, b in zip(loaded, ended, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alpha_rate_factor=2", "--optimizer=sgd"],
        ["--ema_momentum=0.9", "--task=navigation", "--optimizer=trpo"],
        ["--weight_decay=0.1", "--task=navigation"],
        ["--clip_norm=0.1", "--task=navigation"],
    ],
)
def test_what_an_optimizer_has_no_use_for_is_refused(arguments):
    name, _, value = arguments[0][2:].partition("=")
    with pytest.raises(flags.Error, match=f"{name}={float(value)}: optimizer=.* has no use for it"):
        run_flags.resolve(run_flags.parse(arguments))


@pytest.mark.parametrize("given", ["--decay=cosine", "--warmup_iterations=5", "--remat"])
def test_what_a_trust_region_has_no_use_for_is_refused(given):
    name = given[2:].partition("=")[0]
    with pytest.raises(flags.Error, match=f"^{name}=.*: optimizer=trpo .* or take optimizer=adam"):
        run_flags.resolve(run_flags.parse(["--task=navigation", given]))
    run_flags.resolve(run_flags.parse(["--task=navigation", "--optimizer=adam", given]))
