"""The curves against the distribution of Li et al. 2017, section 5.1.

A curve y = A sin(ωx + b) on an even grid of step h satisfies
y(x − h) + y(x + h) = 2 cos(ωh) y(x), which gives ω; A and b then follow by least squares.
"""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.flags import run_flags
from metasgd_tf.tasks import sinusoid
from metasgd_tf.tasks.sinusoid import Sinusoid
from trainers.episodes import Protocol
from trainers.seeds import fold_in, stream

CURVES = 1000
GRID = -5 + 10 * np.arange(100) / 99
STRIDE = 12


def fit(values):
    """Returns amplitudes, frequencies and phases of curves [n, 100] on the grid."""
    middle = values[:, STRIDE:-STRIDE]
    around = values[:, : -2 * STRIDE] + values[:, 2 * STRIDE :]
    cosine = (around * middle).sum(1) / (middle**2).sum(1) / 2
    frequency = np.arccos(cosine) / (STRIDE * 10 / 99)
    parts = []
    for omega, y in zip(frequency, values, strict=True):
        basis = np.stack([np.sin(omega * GRID), np.cos(omega * GRID)], axis=1)
        parts.append(np.linalg.lstsq(basis, y)[0])
    sine, cosine = np.transpose(parts)
    return np.hypot(sine, cosine), frequency, np.arctan2(cosine, sine)


def evaluation_curves(family):
    protocol = family.protocols(None)[0]
    seed = stream(0, "test")

    @tf.function
    def values():
        return tf.map_fn(
            lambda task: family.evaluation_episode(seed, "test", protocol, task, 0).query_targets,
            tf.range(CURVES),
            fn_output_signature=tf.float32,
        )

    return values().numpy()[:, :, 0].astype(np.float64)


def test_curves_fill_the_papers_ranges():
    amplitude, frequency, phase = fit(evaluation_curves(Sinusoid(5, 5)))
    for values, low, high in ((amplitude, 0.1, 5), (frequency, 0.8, 1.2), (phase, 0, np.pi)):
        width = high - low
        assert low - 1e-3 < values.min() < low + 0.01 * width
        assert high - 0.01 * width < values.max() < high + 1e-3
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * width)
        assert values.std() == pytest.approx(width / np.sqrt(12), rel=0.05)
    assert np.abs(np.corrcoef([amplitude, frequency, phase]) - np.eye(3)).max() < 0.1


def test_a_fixed_frequency_is_one():
    amplitude, frequency, phase = fit(evaluation_curves(Sinusoid(5, 5, fixed_frequency=True)))
    np.testing.assert_allclose(frequency, 1, atol=1e-4)
    assert amplitude.min() < 0.2 and amplitude.max() > 4.9
    assert phase.min() < 0.05 and phase.max() > np.pi - 0.05


@pytest.mark.parametrize("fixed_frequency", [False, True])
def test_support_and_query_of_a_training_task_lie_on_one_curve(fixed_frequency):
    family = Sinusoid(20, 30, fixed_frequency)
    found = []
    for number in range(10):
        episode = family.episode(fold_in(stream(0, "train"), number), "train")
        x = np.concatenate([episode.support_inputs, episode.query_inputs])
        y = np.concatenate([episode.support_targets, episode.query_targets])
        residuals = {}
        for omega in np.linspace(0.8, 1.2, 401):
            basis = np.concatenate([np.sin(omega * x), np.cos(omega * x)], axis=1)
            part = np.linalg.lstsq(basis, y)[0]
            residuals[omega] = np.abs(basis @ part - y).max()
            amplitude = np.hypot(*part[:, 0])
        omega = min(residuals, key=residuals.get)
        assert residuals[omega] < 0.005 * amplitude
        found.append(omega)
    if fixed_frequency:
        np.testing.assert_allclose(found, 1, atol=1e-6)
    else:
        assert min(found) < 0.9 and max(found) > 1.1


def test_training_inputs_fill_their_range():
    family = Sinusoid(400, 600)
    episode = family.episode(stream(0, "train"), "train")
    for inputs in (episode.support_inputs.numpy(), episode.query_inputs.numpy()):
        assert -5 <= inputs.min() < -4.9 and 4.9 < inputs.max() <= 5
        assert inputs.mean() == pytest.approx(0, abs=0.5)
        assert inputs.std() == pytest.approx(10 / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize(
    ("curve", "inputs", "targets"),
    [
        # A = 2.55, ω = 0.9, b = π/6: 2.55 sin(π/6), sin(π/2), sin(5π/6), sin(0).
        (
            [0.5, 0.25, 1 / 6],
            [0, np.pi / 2.7, np.pi / 1.35, -np.pi / 5.4],
            [1.275, 2.55, 1.275, 0],
        ),
        # A = 0.1, ω = 0.8, b = 0.
        ([0, 0, 0], [0, np.pi / 1.6, -np.pi / 1.6], [0, 0.1, -0.1]),
        # A = 4.02, ω = 1.12, b = 0.4 π.
        ([0.8, 0.8, 0.4], [-1.5, 2.5], 4.02 * np.sin(1.12 * np.array([-1.5, 2.5]) + 0.4 * np.pi)),
    ],
)
def test_targets_are_the_sine_worked_out_by_hand(curve, inputs, targets):
    found = Sinusoid(5, 5).targets(
        tf.constant(curve, tf.float32), tf.constant(inputs, tf.float32)[:, tf.newaxis]
    )
    np.testing.assert_allclose(found[:, 0], targets, atol=1e-5)


def test_evaluation_queries_are_evenly_spaced():
    family = Sinusoid(5, 5)
    episode = family.evaluation_episode(
        stream(0, "test"), "test", family.protocols(None)[1], tf.constant(3), tf.constant(9)
    )
    np.testing.assert_allclose(episode.query_inputs[:, 0], GRID, atol=1e-6)
    support = episode.support_inputs.numpy()
    assert support.shape == (10, 1) and np.all(np.abs(support) <= 5)
    values = np.concatenate([episode.query_targets])[np.newaxis, :, 0].astype(np.float64)
    (amplitude,), (frequency,), (phase,) = fit(values)
    np.testing.assert_allclose(
        episode.support_targets, amplitude * np.sin(frequency * support + phase), atol=1e-3
    )


def test_a_curve_by_a_seed_stays_what_it_has_been():
    # The first task of the first iteration by seed 0, whose numbers Philox makes: 0.256125,
    # 0.747297 and 0.565218 for A = 1.355012, ω = 1.098919 and b = 1.775686, then the points'.
    seed = tf.constant([-1496990542, -756666449])
    episode = Sinusoid(2, 1).episode(seed, "train")
    inputs = np.array([[-4.611753], [3.800448], [-4.572890]])
    targets = 1.355012 * np.sin(1.098919 * inputs + 1.775686)
    for found, expected in zip(
        episode, (inputs[:2], targets[:2], inputs[2:], targets[2:]), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_protocol_is_the_papers():
    assert Sinusoid(5, 5).protocols(None) == [
        Protocol(shots, num_tasks=100, repeats=100, before=None) for shots in (5, 10, 20)
    ]


def test_the_loss_is_the_squared_error():
    family = Sinusoid(5, 5)
    targets, outputs = tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [1.5]])
    np.testing.assert_allclose(family.loss(targets, outputs), [4, 0.25])
    np.testing.assert_allclose(family.metrics["mse"](targets, outputs), [4, 0.25])


def test_flags_set_the_sizes():
    settings = run_flags.parse(["--shots=3", "--queries=8", "--fixed_frequency"])
    family = sinusoid.from_flags(settings, ("train",))
    assert (family.shots, family.queries) == (3, 8)
    episode = family.episode(stream(0, "train"), "train")
    assert (len(episode.support_inputs), len(episode.query_inputs)) == (3, 8)
    np.testing.assert_allclose(fit(evaluation_curves(family)[:5])[1], 1, atol=1e-4)
