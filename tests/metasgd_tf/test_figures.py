"""The figure of fits: what it shows, and that it is the same each time."""

import numpy as np
import pytest

from metasgd_tf import figures, run_flags
from metasgd_tf.training import train_run
from trainers.errors import InputError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for algorithm in ("meta_sgd", "maml"):
        settings = run_flags.parse([f"--algorithm={algorithm}", "--iterations=3"])
        train_run(settings, str(root / algorithm))
    return [str(root / "meta_sgd"), str(root / "maml")]


def test_each_panel_shows_curve_support_and_every_learner(runs):
    drawn = figures.sinusoid_fits(runs, curve_seed=0)
    for axis, shots in zip(drawn.axes, (5, 10), strict=True):
        labels = [line.get_label() for line in axis.get_lines()]
        assert labels == ["curve", "support set", "Meta-SGD, 1 step", "MAML, 1 step"]
        curve, support, *fits = axis.get_lines()
        inputs = np.ravel(support.get_xdata())
        assert len(inputs) == shots and np.all((inputs >= -5) & (inputs <= 0))
        # The support points lie on the curve.
        on_curve = np.interp(inputs, np.ravel(curve.get_xdata()), np.ravel(curve.get_ydata()))
        np.testing.assert_allclose(np.ravel(support.get_ydata()), on_curve, atol=0.01)
        assert len({line.get_linestyle() for line in fits}) == 2


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_same_runs_give_the_same_file(runs, tmp_path, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        figures.save(figures.sinusoid_fits(runs, curve_seed=0), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) > 10_000


def test_bad_requests_are_refused(runs, tmp_path):
    with pytest.raises(InputError, match="one to 4 runs"):
        figures.sinusoid_fits(runs * 3, curve_seed=0)
    with pytest.raises(InputError, match=r"should end in \.png"):
        figures.save(figures.sinusoid_fits(runs[:1], curve_seed=0), str(tmp_path / "fits.doc"))
