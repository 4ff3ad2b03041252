"""The tab Curve gives the fits of the exports of the sinusoid that ship."""

import numpy as np
import pytest

from metasgd_tf.tasks.sinusoid import INPUT_RANGE, Sinusoid
from metasgd_tf.webpage import curve
from metasgd_tf.webpage.reading import RequestError
from tests.metasgd_tf.shell import ROOT
from tests.serving_exports import Loaded
from trainers.errors import InputError

EXPORTS = [ROOT / "exports" / f"sinusoid_5shot_{name}" for name in ("meta_sgd", "maml")]


@pytest.fixture(scope="module")
def tab():
    return curve.CurveTab([str(folder) for folder in EXPORTS])


@pytest.fixture(scope="module")
def loaded():
    return [Loaded(folder / "1") for folder in EXPORTS]


def test_fits_are_the_exports_after_each_number_of_steps(tab, loaded):
    points = tab.example({"seed": 5})["points"]
    given = tab.answer({"points": points})
    names = [learner["name"] for learner in given["learners"]]
    assert names == [f"{name}, trained on 5 points, 1 step" for name in ("Meta-SGD", "MAML")]
    assert (given["x"][0], given["x"][-1]) == INPUT_RANGE == curve.X_RANGE
    support = np.array([points], np.float32)
    asked = {
        "support_inputs": support[..., :1],
        "support_targets": support[..., 1:],
        "query_inputs": np.array(given["x"], np.float32)[np.newaxis, :, np.newaxis],
    }
    for learner, export in zip(given["learners"], loaded, strict=True):
        assert len(learner["fits"]) == 4
        for steps, fit in enumerate(learner["fits"]):
            count = np.array(steps, np.int32)
            expected = export("serving_default_steps", **asked, inner_steps=count)["predictions"]
            np.testing.assert_allclose(fit, expected[0, :, 0], atol=2e-3)
        np.testing.assert_allclose(
            learner["fits"][1],
            export("serving_default", **asked)["predictions"][0, :, 0],
            atol=2e-3,
        )


def test_a_step_brings_the_fits_closer_to_the_curve(tab):
    """By the mean over 20 curves; Meta-SGD's more than MAML's, as in table 1."""
    errors = []
    for seed in range(20):
        made = tab.example({"seed": seed})
        fitted = tab.answer({"points": made["points"]})["learners"]
        fits = np.array([learner["fits"] for learner in fitted])
        errors.append(((fits - made["curve"]) ** 2).mean(-1))
    meta_sgd, maml = np.mean(errors, axis=0)
    assert meta_sgd[1] < 0.5 * meta_sgd[0] and maml[1] < 0.7 * maml[0]
    assert meta_sgd[1] < maml[1]


def test_an_example_is_a_curve_of_the_tasks_with_points_on_its_left_half(tab):
    family = Sinusoid(5, 1)
    for seed in range(5):
        made = tab.example({"seed": seed})
        x, y = np.transpose(made["points"])
        assert len(x) == 5 and np.all((x >= -5) & (x <= 0)) and np.all(np.abs(y) <= 5)
        assert np.interp(x, made["x"], made["curve"]) == pytest.approx(y, abs=0.02)
        # A curve of the family is A sin(ωx + b): the one whose numbers its draws give.
        rng = np.random.default_rng(seed)
        amplitude, frequency, phase = (
            rng.uniform(1, 5),
            rng.uniform(0.8, 1.2),
            rng.uniform(0, np.pi),
        )
        numbers = [(amplitude - 0.1) / 4.9, (frequency - 0.8) / 0.4, phase / np.pi]
        assert min(numbers) >= 0 and max(numbers) <= 1
        expected = family.targets(np.array(numbers, np.float32), curve.GRID)
        np.testing.assert_allclose(made["curve"], expected, atol=1e-3)


def test_without_points_learners_are_shown_before_the_step(tab):
    given = tab.answer({"points": []})
    assert given["sentence"] == curve.NO_POINT
    with_one = tab.answer({"points": [[1.5, -2]]})
    for before, other in zip(given["learners"], with_one["learners"], strict=True):
        assert before["fits"] == other["fits"][:1]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[6, 0]], r"points\[0\]\[0\]: should be a number from -5 to 5"),
        ([[0, 0], [0, -7]], r"points\[1\]\[1\]: should be a number from -6 to 6"),
        ([[0, 0]] * 51, "points: should be a list of at most 50"),
        ("0, 0", "points: should be a list"),
    ],
)
def test_points_outside_the_plot_are_refused(tab, points, message):
    with pytest.raises(RequestError, match=message):
        tab.answer({"points": points})


def test_exports_of_other_tasks_are_refused(tmp_path):
    other = ROOT / "exports" / "omniglot_5way1shot"
    with pytest.raises(
        InputError, match=f"curve_export_dirs={other}: should be an export of a run"
    ):
        curve.CurveTab([str(other)])
    with pytest.raises(InputError, match=f"curve_export_dirs={tmp_path}: holds no export"):
        curve.CurveTab([str(tmp_path)])
