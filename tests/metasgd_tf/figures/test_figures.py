"""The figures of fits and of α, and what all have in common: which runs, and the file."""

import os
import re
import shutil

import numpy as np
import pytest
from absl import flags
from matplotlib import figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from metasgd_tf import tasks
from metasgd_tf.figures import alpha, fits, style
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from tests.metasgd_tf.shell import ROOT, assert_refused, command
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.supervised.meta_trainer import MetaTrainer

# The sinusoid's 1-40-40-1, kernel and bias in turn: α of the best checkpoint, and of the last.
BEST = [np.full(shape, 0.25) for shape in ([1, 40], [40], [40, 40], [40], [40, 1], [1])]
LAST = [
    np.full([1, 40], 0.5),
    np.full([40], -0.25),
    np.full([40, 40], 0.1),
    np.full([40], -6.46),
    np.where(np.arange(40) < 10, -0.3, 0.2)[:, np.newaxis],
    np.zeros([1]),
]
# Mean and share of negative entries by hand, such as (1600 · 0.1 − 40 · 6.46) / 1640 = −0.06.
NUMBERS = {
    "hidden_1": ["0.125", "50.0 %"],
    "hidden_2": ["−0.0600", "2.4 %"],
    "output": ["0.0732", "24.4 %"],
}


def make_run(path, *arguments, best=None, last=None):
    """Writes what figures need of a run, without training."""
    settings = run_flags.resolve(run_flags.parse(arguments))
    family = tasks.from_flags(settings, ("train",))
    learner = build_learner(family, settings)
    settings.alpha_init = learner.alpha.initial_value
    saved = RunCheckpoints(MetaTrainer(learner, family.sampler("train")), str(path))
    for values, score in ((best, 0.0), (last, None)):
        for rate, value in zip(learner.alpha.rates, values or (), strict=False):
            rate.assign(value)
        saved.save(score)
    run_flags.write(settings, str(path))
    return str(path)


@pytest.fixture(scope="module")
def meta_sgd(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "meta_sgd"
    return make_run(path, "--alpha_init=0.02", best=BEST, last=LAST)


@pytest.fixture(scope="module")
def layer_rates(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "layer_rates"
    arguments = ["--algorithm=layer_rates", "--alpha_init=0.05", "--inner_steps=2"]
    return make_run(path, *arguments, last=[0.3, -0.4, 0.5])


@pytest.fixture(scope="module")
def maml(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "maml", "--algorithm=maml")


@pytest.fixture
def omniglot_run(tmp_path):
    path = tmp_path / "omniglot"
    run_flags.write(run_flags.resolve(run_flags.parse(["--task=omniglot"])), str(path))
    return str(path)


def numbers(axis):
    """Returns the texts of a row from top to bottom, without the columns' titles."""
    return [text.get_text() for text in axis.texts if text.get_text() not in ("mean", "below 0")]


def upright(axis):
    """Returns where vertical lines are."""
    lines = [np.asarray(line.get_xdata()) for line in axis.get_lines()]
    return [float(x[0]) for x in lines if np.ptp(x) == 0]


def labels(drawn):
    """Returns what the legend of a figure names."""
    return [text.get_text() for text in drawn.legends[-1].get_texts()]


def test_each_panel_shows_curve_support_and_every_learner(meta_sgd, maml):
    drawn = fits.sinusoid_fits([meta_sgd, maml], curve_seed=0)
    for axis, shots in zip(drawn.axes, (5, 10), strict=True):
        names = [line.get_label() for line in axis.get_lines()]
        assert names == ["curve", "support set", "Meta-SGD, 1 step", "MAML, 1 step"]
        curve, support, *learned = axis.get_lines()
        inputs = np.ravel(support.get_xdata())
        assert len(inputs) == shots and np.all((inputs >= -5) & (inputs <= 0))
        # The support points lie on the curve.
        on_curve = np.interp(inputs, np.ravel(curve.get_xdata()), np.ravel(curve.get_ydata()))
        np.testing.assert_allclose(np.ravel(support.get_ydata()), on_curve, atol=0.01)
        assert len({line.get_color() for line in learned}) == 2
        assert len({line.get_linestyle() for line in learned}) == 2
    assert labels(drawn) == names


def test_fits_are_those_of_the_checkpoint_that_is_asked_for(meta_sgd):
    last, best = (
        fits.sinusoid_fits([meta_sgd], 0, checkpoint).axes[0].get_lines()[-1].get_ydata()
        for checkpoint in ("last", "best")
    )
    assert np.max(np.abs(np.asarray(last) - np.asarray(best))) > 0.1


def test_rows_of_alpha_are_the_layers_with_means_and_shares_of_negatives(meta_sgd):
    drawn = alpha.alpha_distributions([meta_sgd])
    plots, texts = drawn.axes[::2], drawn.axes[1::2]
    assert [axis.get_ylabel() for axis in plots] == list(NUMBERS)
    assert [numbers(axis) for axis in texts] == list(NUMBERS.values())
    assert labels(drawn) == ["Meta-SGD, 1 step", "initial value"]
    assert len({axis.get_xlim() for axis in plots}) == 1
    for axis in plots:
        assert upright(axis) == pytest.approx([0, 0.02])


def test_histograms_hold_every_entry_on_its_side_of_zero(meta_sgd):
    drawn = alpha.alpha_distributions([meta_sgd])
    for axis, negative in zip(drawn.axes[::2], (0.5, 40 / 1640, 10 / 41), strict=True):
        filled, outline = (patch for patch in axis.patches if isinstance(patch, StepPatch))
        shares, edges, _ = outline.get_data()
        np.testing.assert_array_equal(filled.get_data()[0], shares)
        assert np.sum(shares) == pytest.approx(1)
        assert 0 in edges
        assert np.sum(shares[edges[1:] <= 0]) == pytest.approx(negative)


def test_a_rate_that_a_layer_shares_is_a_line(meta_sgd, layer_rates):
    drawn = alpha.alpha_distributions([meta_sgd, layer_rates], "last")
    plots, texts = drawn.axes[::2], drawn.axes[1::2]
    for axis, rate in zip(plots, (0.3, -0.4, 0.5), strict=True):
        assert upright(axis) == pytest.approx([rate, 0, 0.02, 0.05])
    expected = (["0.300", "0.0 %"], ["−0.400", "100.0 %"], ["0.500", "0.0 %"])
    for axis, first, second in zip(texts, NUMBERS.values(), expected, strict=True):
        assert numbers(axis) == first + second
    assert labels(drawn) == ["Meta-SGD, 1 step", "one rate a layer, 2 steps", "initial value"]


def test_alpha_is_drawn_where_the_images_are_gone(grey_images, tmp_path):
    arguments = [*grey_images, "--queries=2", "--model=tests.fast_network:network"]
    run = make_run(tmp_path / "run", *arguments)
    settings = run_flags.read(run)
    settings.image_dir = str(tmp_path / "gone")
    run_flags.write(settings, run)
    drawn = alpha.alpha_distributions([run])
    assert labels(drawn) == ["Meta-SGD, 1 step", "initial value"]


def test_layers_may_begin_at_other_values(meta_sgd):
    layers = {"body": np.array([0.1, 0.2]), "head": np.array([0.3, 0.4])}
    (run,) = style.chosen([meta_sgd])
    drawn = alpha.draw([run], [alpha.Rates({"body": 0.125, "head": 0.375}, layers)])
    assert [upright(axis)[-1] for axis in drawn.axes[::2]] == pytest.approx([0.125, 0.375])


def test_alpha_is_that_of_the_checkpoint_that_is_asked_for(meta_sgd):
    drawn = alpha.alpha_distributions([meta_sgd], "best")
    assert [numbers(axis) for axis in drawn.axes[1::2]] == [["0.250", "0.0 %"]] * 3


def test_outliers_do_not_squash_the_rest(meta_sgd):
    entries = np.random.default_rng(0).normal(0.02, 0.01, 10_000)
    squashed = np.concatenate([entries, [50.0, -80.0]])
    drawn = alpha.draw(
        style.chosen([meta_sgd]), [alpha.Rates({"dense": 0.02}, {"dense": squashed})]
    )
    low, high = drawn.axes[0].get_xlim()
    assert -0.1 < low < 0 and 0.05 < high < 0.1
    # Without them the mean would be 0.02.
    assert numbers(drawn.axes[1])[0] == f"{squashed.mean():#.3g}"


def test_runs_of_one_name_are_told_apart_by_their_directories(tmp_path):
    paths = [str(tmp_path / name) for name in ("a/run", "b/run", "maml")]
    for path, algorithm in zip(paths, ("meta_sgd", "meta_sgd", "maml"), strict=True):
        run_flags.write(run_flags.parse([f"--algorithm={algorithm}"]), path)
    names = [run.label for run in style.chosen(paths)]
    # The third one too: what is alike may be of two tasks, and its reader would ask of which it is.
    assert names == ["Meta-SGD, 1 step (a/run)", "Meta-SGD, 1 step (b/run)", "MAML, 1 step (maml)"]
    assert [run.label for run in style.chosen(paths[1:])] == ["Meta-SGD, 1 step", "MAML, 1 step"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_runs_give_the_same_file(meta_sgd, layer_rates, tmp_path, monkeypatch, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for number, path in enumerate(paths):
        # As matplotlib has the time from it, the two are of different days.
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(100_000 * number))
        style.save(alpha.alpha_distributions([meta_sgd, layer_rates]), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) > 10_000


def test_no_text_is_too_small_or_cut_off(meta_sgd, layer_rates, maml):
    for drawn in (
        fits.sinusoid_fits([meta_sgd, layer_rates, maml], 0),
        alpha.alpha_distributions([meta_sgd, layer_rates]),
    ):
        assert drawn.get_figwidth() == 7
        drawn.draw_without_rendering()
        assert min(text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()) >= 8
        inches = drawn.get_tightbbox()
        assert inches.x0 >= 0 and inches.x1 <= 7
        assert inches.y0 >= 0 and inches.y1 <= drawn.get_figheight()


def test_bad_requests_are_refused(meta_sgd, maml, omniglot_run, tmp_path):
    with pytest.raises(InputError, match="name one to 4 runs"):
        fits.sinusoid_fits([meta_sgd, maml, *"abc"], curve_seed=0)
    with pytest.raises(InputError, match=f"name {meta_sgd}/ only once"):
        style.chosen([f"{meta_sgd}/", maml, meta_sgd])
    with pytest.raises(InputError, match=f"model_dirs={omniglot_run}: is a run of omniglot"):
        fits.sinusoid_fits([meta_sgd, omniglot_run], curve_seed=0)
    other = shutil.copytree(meta_sgd, tmp_path / "fixed")
    (other / "flags.txt").write_text(
        (other / "flags.txt").read_text(encoding="utf-8") + "--fixed_frequency\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match="fixed: has fixed_frequency=True and .* has False, so t"):
        fits.sinusoid_fits([meta_sgd, str(other)], curve_seed=0)
    with pytest.raises(InputError, match="has fixed_frequency=False and .*fixed has True, so that"):
        fits.sinusoid_fits([str(other), meta_sgd], curve_seed=0)
    with pytest.raises(InputError, match=f"model_dirs={maml}: its α is fixed"):
        alpha.alpha_distributions([meta_sgd, maml])
    with pytest.raises(InputError, match=r"output=.*doc: should end in \.png, \.svg or \.pdf"):
        style.save(figure.Figure(), str(tmp_path / "fits.doc"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output=.*fits\.png: cannot be written \(.*\)"):
        style.save(figure.Figure(), str(tmp_path / "file" / "fits.png"))


def test_links_that_lead_to_each_other_hold_no_run(tmp_path):
    for one, other in ("ab", "ba"):
        (tmp_path / one).symlink_to(tmp_path / other)
    with pytest.raises((flags.Error, OSError), match=f"{tmp_path / 'a'}"):
        style.chosen([str(tmp_path / "a")])


def test_runs_of_different_networks_are_refused(meta_sgd, omniglot_run, monkeypatch):
    monkeypatch.setattr(
        alpha,
        "_read",
        lambda run, _: alpha.Rates({run.settings.task: 0.02}, {run.settings.task: np.zeros(3)}),
    )
    with pytest.raises(InputError, match=f"{omniglot_run}: has layers omniglot where .* sinusoid"):
        alpha.alpha_distributions([meta_sgd, omniglot_run])


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--figure=pie", "--figure=pie.*fits.*curves.*alpha"),
        ("--checkpoint=first", "--checkpoint=first.*last.*best"),
        ("--curve_seed=-1", "--curve_seed=-1"),
    ],
)
def test_bad_flags_are_refused_before_tensorflow_is_loaded(tmp_path, flag, named):
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    arguments = [f"--model_dirs={tmp_path}", f"--output={tmp_path / 'a.png'}", flag]
    done = command("plot", *arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert re.search(named, assert_refused(done))


def test_runs_of_any_name_are_told_apart(tmp_path):
    paths = [str(tmp_path / name) for name in ("$5 or $6", "a\x1bb")]
    for path in paths:
        make_run(path)
    names = [run.label for run in style.chosen(paths)]
    assert names == ["Meta-SGD, 1 step ($5 or $6)", r"Meta-SGD, 1 step (a\x1bb)"]


def test_no_half_of_a_figure_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(figure.Figure, "savefig", lambda _, path, **__: path.touch() or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        style.save(figure.Figure(), str(tmp_path / "fits.png"))
    assert not list(tmp_path.iterdir())


def test_a_directory_without_a_run_is_named_by_the_commands_own_flag(tmp_path):
    with pytest.raises(flags.Error, match=f"^model_dirs={tmp_path}: holds no run"):
        style.chosen([str(tmp_path)])
    run_flags.write(run_flags.parse([]), str(tmp_path))
    with pytest.raises(InputError, match=f"^model_dirs={tmp_path}: holds no checkpoint yet"):
        alpha.alpha_distributions([str(tmp_path)])
