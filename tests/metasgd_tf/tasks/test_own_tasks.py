"""Tasks of a person's own: the examples by every command, and what is refused in a sentence."""

import json

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from tests.metasgd_tf.shell import assert_refused, command
from trainers.episodes import Episode
from trainers.errors import InputError

METRICS = {"lines": ("mse", 2), "clusters": ("accuracy", 2)}
# One of them has its own network, which XLA compiles.
NETWORKS = {"lines": [], "clusters": ["--model=tests.fast_network:of_numbers"]}


@pytest.fixture(scope="module", params=["lines", pytest.param("clusters", marks=pytest.mark.slow)])
def run(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / request.param
    done = command(
        "train",
        f"--task=examples.{request.param}:{request.param}",
        *NETWORKS[request.param],
        "--ways=3",
        "--shots=2",
        "--iterations=40",
        "--checkpoint_interval=20",
        "--validation_tasks=3",
        f"--model_dir={path}",
    )
    assert done.returncode == 0, done.stderr
    return path


def test_it_is_trained_and_watched(run):
    assert {path.name for path in run.iterdir()} >= {"train", "validation", "best", "checkpoints"}
    assert f"--task=examples.{run.name}:{run.name}" in (run / "flags.txt").read_text()


def test_it_is_evaluated(run):
    done = command("evaluate", f"--model_dir={run}", "--num_tasks=5")
    assert done.returncode == 0, done.stderr
    metric, count = METRICS[run.name]
    report = json.loads((run / "evaluation.json").read_text())
    assert [row["metric"] for row in report["results"]] == [metric] * count
    assert report["task"] == f"examples.{run.name}:{run.name}" and not report["cross_domain"]


@pytest.mark.parametrize("figure", ["curves", "alpha"])
def test_it_is_drawn(run, figure, tmp_path):
    output = tmp_path / "figure.png"
    done = command("plot", f"--figure={figure}", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0 and output.read_bytes().startswith(b"\x89PNG"), done.stderr


def test_its_export_answers(run, tmp_path):
    done = command("export", f"--model_dir={run}", f"--export_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert "classify_images" not in signatures
    random = np.random.default_rng(0)
    if run.name == "lines":
        x = tf.constant(random.uniform(-1, 1, (1, 2, 1)), tf.float32)
        reply = signatures["serving_default"](
            support_inputs=x, support_targets=2 * x, query_inputs=x
        )
        assert reply["predictions"].shape == (1, 2, 1)
        return
    x = tf.constant(random.normal(size=(1, 6, 8)), tf.float32)
    reply = signatures["serving_default"](
        support_inputs=x, support_targets=tf.constant([[0, 0, 1, 1, 2, 2]]), query_inputs=x
    )
    assert reply["probabilities"].shape == (1, 6, 3)
    np.testing.assert_allclose(tf.reduce_sum(reply["probabilities"], -1), 1, rtol=1e-5)


def not_a_family(settings, splits):
    return 7


def lacking(settings, splits):
    from examples.lines import Lines

    made = Lines(1, 1)
    del made.metrics
    return made


def raising(settings, splits):
    raise KeyError("data")


def lines_with(**attributes):
    """Returns a function for --task that makes the lines with other attributes."""

    def made(settings, splits):
        from examples.lines import Lines

        return type("Odd", (Lines,), attributes)(1, 1)

    return made


def no_split(self, seed, split):
    raise KeyError(split)


def in_a_list(self, seed, split):
    return [tf.zeros([1, 1])] * 4


def support_of_nothing(self, seed, split):
    return Episode(None, tf.zeros([1, 1]), tf.zeros([1, 1]), tf.zeros([1, 1]))


def targets_of_nothing(self, seed, split):
    return Episode(tf.zeros([1, 1]), tf.zeros([1, 1]), tf.zeros([1, 1]), {"y": None})


def targets_without_their_axis(self, seed, split):
    return Episode(tf.zeros([1, 1]), tf.zeros([1]), tf.zeros([1, 1]), tf.zeros([1]))


flat = lines_with(episode=targets_without_their_axis)
of_numpy = lines_with(output_size=np.int64(1), shots=np.int32(1))
lacking_support = lines_with(episode=support_of_nothing)
lacking_targets = lines_with(episode=targets_of_nothing)
neither_end = lines_with(metric_mode="lowest")
other_metric = lines_with(metric="accuracy")
failing = lines_with(episode=no_split)
listing = lines_with(episode=in_a_list)
wider = lines_with(input_shape=(2,))
of_classes = lines_with(classifies=True)


HERE = __name__


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere.at_all:lines", "cannot be imported .*; should be package.module:function"),
        (f"{HERE}:nothing", "cannot be imported .*no attribute 'nothing'"),
        (f"{HERE}:not_a_family", "returned a int; should return a trainers.TaskFamily"),
        (f"{HERE}:lacking", "its Lines has no metrics; set them"),
        (f"{HERE}:raising", r"raised KeyError \('data'\) for splits=\('train',\)"),
        (f"{HERE}:neither_end", "its metric_mode is 'lowest'; should be 'min' or 'max'"),
        (
            f"{HERE}:other_metric",
            "its metric is 'accuracy'; should be one of its scores, loss, mse",
        ),
        (f"{HERE}:failing", r"its episode raised KeyError \('train'\) for split=train"),
        (f"{HERE}:listing", "its episode returned a list; should return a trainers.Episode"),
        (f"{HERE}:lacking_support", "its episode has None in its support_inputs; should have tens"),
        (f"{HERE}:lacking_targets", "its episode has None in its query_targets; should have tens"),
        (
            f"{HERE}:wider",
            r"an example of its episode has inputs .*\(1,\).* input_spec says, .*\(2,\)",
        ),
        (
            f"{HERE}:flat",
            r"an example of its episode has targets .*shape=\(\).* target_spec says, .*\(1,\)",
        ),
        (f"{HERE}:of_classes", "its episode has targets of float32 and classifies is True"),
    ],
)
def test_what_is_no_family_is_refused(name, sentence):
    settings = run_flags.parse([f"--task={name}"])
    with pytest.raises(InputError, match=f"^task={name}: {sentence}"):
        tasks.from_flags(settings, ("train",))


def test_sizes_may_be_numpys_integers():
    made = tasks.from_flags(run_flags.parse([f"--task={HERE}:of_numpy"]), ("train",))
    assert (type(made.output_size), type(made.shots)) == (int, int)
    assert (made.output_size, made.shots) == (1, 1)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("open('absent.csv')", "FileNotFoundError"),
        ("x = (", "SyntaxError"),
        ("print(undefined)", "NameError"),
        ("import sys; sys.exit()", "SystemExit"),
    ],
)
def test_a_module_that_raises_is_refused(tmp_path, monkeypatch, source, kind):
    (tmp_path / "own_raising.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        InputError, match=rf"cannot be imported \({kind}: .*should be package.module"
    ):
        tasks.from_flags(run_flags.parse(["--task=own_raising:tasks"]), ("train",))


def test_more_ways_than_there_are_classes_are_refused():
    settings = run_flags.parse(["--task=examples.clusters:clusters", "--ways=9"])
    with pytest.raises(InputError, match="its episode raised ValueError .*for split=validation"):
        tasks.from_flags(settings, ("train", "validation"))


def test_a_run_whose_tasks_are_not_there_any_more_is_refused(run, tmp_path):
    settings = run_flags.read(str(run))
    settings.task = "gone_since:tasks"
    run_flags.write(settings, str(tmp_path))
    for name in ("evaluate", "export"):
        out = [f"--export_dir={tmp_path / 'out'}"] if name == "export" else []
        sentence = assert_refused(command(name, f"--model_dir={tmp_path}", *out))
        assert "task=gone_since:tasks: cannot be imported" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["flags.txt"]


def test_confusion_is_for_images(run):
    done = command("evaluate", f"--model_dir={run}", "--num_tasks=2", "--confusion")
    lacking = "images" if run.name == "clusters" else "classes"
    assert f"has no {lacking}; leave --confusion out" in assert_refused(done)


def test_a_name_that_is_none_is_refused_and_nothing_is_written(tmp_path):
    done = command("train", "--task=sinusoids", f"--model_dir={tmp_path / 'run'}")
    assert_refused(done)
    assert "should be one of image_folder," in done.stderr
    assert not (tmp_path / "run").exists()
