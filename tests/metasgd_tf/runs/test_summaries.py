"""What TensorBoard gets of a run, read back from its files."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.plugins.hparams import plugin_data_pb2

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.images.classification import ImageClassification
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.summaries import Summaries
from models.conv4 import conv4
from tests.metasgd_tf.shell import events, scalar
from tests.synthetic_omniglot import drawings
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.seeds import fold_in, stream

FLAGS = ["--shots=5", "--validation_tasks=3", "--seed=4", "--clip_norm=0.5"]
LAYERS = {"hidden_1": 2 * 40, "hidden_2": 40 * 40 + 40, "output": 40 + 1}
SCORES = {"loss": 1.5, "mse": 1.25, "meta_gradient_norm": 0.5}


def parts(*arguments):
    """Returns the settings, the family and the learner of a run, as training makes them."""
    settings = run_flags.resolve(run_flags.parse([*FLAGS, *arguments]))
    family = tasks.from_flags(settings, ("train", "validation"))
    learner = build_learner(family, settings)
    settings.alpha_init = learner.alpha.initial_value
    return settings, family, learner


def shuffle(learner, seed):
    """Gives θ and α numbers that training might, α of both signs."""
    rng = np.random.default_rng(seed)
    for variable, scale in [(w, 0.3) for w in learner.theta] + [
        (rate, 0.01) for rate in learner.alpha.learned
    ]:
        variable.assign(rng.normal(scale=scale, size=variable.shape))


def validation_task(family, index):
    protocol = Protocol(5, 3, repeats=1)
    seed = stream(4, "validation")
    return family.evaluation_episode(
        seed, "validation", protocol, tf.constant(index), tf.constant(0)
    )


def train_task(family, index):
    protocol = Protocol(5, 3, repeats=1)
    seed = fold_in(stream(4, "train"), -1)
    return family.evaluation_episode(seed, "train", protocol, tf.constant(index), tf.constant(0))


def mean_squared_errors(family, learner):
    """Returns means over the three tasks of each split, before and after adaptation."""
    found = {}
    for split, draw in (("train", train_task), ("validation", validation_task)):
        for when, steps in (("before", 0), ("after", 1)):
            errors = []
            for index in range(3):
                task = draw(family, index)
                weights = learner.adapt(task.support_inputs, task.support_targets, steps=steps)
                answers = learner.predict(weights, task.query_inputs).numpy()
                errors.append(np.mean((answers - task.query_targets.numpy()) ** 2))
            found[split, when] = np.mean(errors)
    return found


def cosines(family, learner):
    """Returns cos(α ∘ g, g) of each layer, g the support gradient: means over eight tasks."""
    found = {}
    for index in range(8):
        task = validation_task(family, index)
        slopes = [g.numpy() for g in learner.support_gradient(*task[:2])]
        pairs = [(a.numpy() * g, g) for a, g in zip(learner.alpha.rates, slopes, strict=True)]
        for layer, some in zip(["all_layers", *LAYERS], [pairs, pairs[:2], pairs[2:4], pairs[4:]]):  # noqa: B905
            update, slope = (np.concatenate([np.ravel(x) for x in row]) for row in zip(*some))  # noqa: B905
            norms = np.linalg.norm(update) * np.linalg.norm(slope)
            found.setdefault(layer, []).append(update @ slope / norms)
    return {layer: np.mean(values) for layer, values in found.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a run of Meta-SGD wrote at steps 10 and 20, and what it should have."""
    path = tmp_path_factory.mktemp("runs") / "sine"
    settings, family, learner = parts()
    summaries = Summaries(path, learner, family, settings)
    made = types.SimpleNamespace(settings=settings, errors={}, rates={}, cosines={}, returned={})
    for step in (10, 20):
        shuffle(learner, seed=step)
        made.errors[step] = mean_squared_errors(family, learner)
        made.cosines[step] = cosines(family, learner)
        made.rates[step] = [rate.numpy().ravel() for rate in learner.alpha.rates]
        summaries.training(step, SCORES, 12.5)
        made.returned[step] = summaries.evaluation(step)
        summaries.task(step)
        summaries.flush()
        if step == 10:
            made.flushed = {s: events(path / s) for s in ("train", "validation")}
    summaries.close()
    made.found = {s: events(path / s) for s in ("train", "validation")}
    made.hparams = events(path)
    return made


def scalar_tags(split):
    tags = [f"{score}/{when}" for score in ("loss", "mse") for when in ("before", "after")]
    if split == "train":
        tags += [f"training/{name}" for name in [*SCORES, "iterations_per_second"]]
        tags += [f"direction_cosine/{layer}" for layer in ["all_layers", *LAYERS]]
        tags += [f"alpha_{what}/{layer}" for layer in LAYERS for what in ("mean", "negative_share")]
    return tags


def tags(split):
    others = [f"alpha/{layer}" for layer in LAYERS] if split == "train" else ["task"]
    return scalar_tags(split) + others


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_tag_is_written_at_every_step(run, split):
    assert set(run.found[split]) == {(tag, step) for tag in tags(split) for step in (10, 20)}


def test_training_scores_are_written_as_they_come(run):
    for step in (10, 20):
        for name, value in {**SCORES, "iterations_per_second": 12.5}.items():
            assert scalar(run.found["train"][f"training/{name}", step]) == value


@pytest.mark.parametrize("step", [10, 20])
def test_scores_before_and_after_are_those_of_each_splits_tasks(run, step):
    for (split, when), expected in run.errors[step].items():
        for score in ("loss", "mse"):
            found = scalar(run.found[split][f"{score}/{when}", step])
            assert found == pytest.approx(expected, rel=1e-4)
    assert run.returned[step] == pytest.approx(run.errors[step]["validation", "after"], rel=1e-4)
    assert len(set(run.errors[step].values())) == 4


@pytest.mark.parametrize("step", [10, 20])
def test_alpha_is_summed_up_by_layer(run, step):
    found = run.found["train"]
    kernels_and_biases = run.rates[step]
    for index, (layer, size) in enumerate(LAYERS.items()):
        rates = np.concatenate(kernels_and_biases[2 * index : 2 * index + 2])
        assert scalar(found[f"alpha_mean/{layer}", step]) == pytest.approx(rates.mean(), abs=1e-7)
        share = scalar(found[f"alpha_negative_share/{layer}", step])
        assert share == pytest.approx((rates < 0).mean(), abs=1e-6) and 0 < share < 1
        left, right, counts = tf.make_ndarray(found[f"alpha/{layer}", step].tensor).T
        assert counts.sum() == size == len(rates)
        assert (left[0], right[-1]) == pytest.approx((rates.min(), rates.max()), rel=1e-5)


@pytest.mark.parametrize("step", [10, 20])
def test_the_learned_direction_is_measured_on_validation_tasks(run, step):
    for layer, expected in run.cosines[step].items():
        cosine = scalar(run.found["train"][f"direction_cosine/{layer}", step])
        assert -1 <= cosine <= 1
        assert cosine == pytest.approx(expected, abs=1e-4)


def test_the_image_of_a_task_is_a_png(run):
    images = []
    for step in (10, 20):
        width, height, png = run.found["validation"]["task", step].tensor.string_val
        images.append(tf.io.decode_png(png).numpy())
        assert images[-1].shape == (int(height), int(width), 3)
    assert all(image.std() > 10 for image in images)
    assert not np.array_equal(*images)  # The learner was another one.


def test_what_is_flushed_is_on_disk_though_the_files_are_open(run):
    for split in ("train", "validation"):
        missing = {(tag, 10) for tag in tags(split)} - set(run.flushed[split])
        assert missing <= {("task", 10)}  # Which may still be being drawn.


def test_hparams_are_the_flags(run):
    content = {tag: value.metadata.plugin_data for (tag, _), value in run.hparams.items()}
    assert {data.plugin_name for data in content.values()} == {"hparams"}
    parsed = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(data.content)
        for tag, data in content.items()
    }
    start = parsed["_hparams_/session_start_info"].session_start_info
    assert start.group_name == ""  # So that TensorBoard goes by the directory.
    found = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()
    }
    expected = {
        name: getattr(run.settings, name)
        for name in run_flags.names()
        if name not in run_flags.FREE_FLAGS and getattr(run.settings, name) is not None
    }
    assert found == expected
    assert (found["algorithm"], found["alpha"], found["clip_norm"]) == (
        "meta_sgd",
        "per_weight",
        0.5,
    )
    assert found["alpha_init"] == np.random.default_rng(4).uniform(0.005, 0.1)
    experiment = parsed["_hparams_/experiment"].experiment
    assert {info.name for info in experiment.hparam_infos} == set(found)
    metrics = [(info.name.group, info.name.tag) for info in experiment.metric_infos]
    assert metrics == [("validation", "loss/after"), ("validation", "mse/after")]
    assert {tag for _, tag in metrics} <= set(scalar_tags("validation"))


@pytest.fixture
def uncompiled(monkeypatch):
    """Spares the seconds that compiling by XLA takes."""
    # By `sys.modules`, as the package's attribute of this name is the function.
    monkeypatch.setattr(
        sys.modules["trainers.supervised.evaluation"], "xla_pays", lambda model: False
    )


def test_maml_has_no_alpha_to_show(tmp_path, uncompiled):
    settings, family, learner = parts("--algorithm=maml")
    summaries = Summaries(tmp_path, learner, family, settings)
    summaries.training(10, SCORES, 12.5)
    summaries.evaluation(10)
    summaries.task(10)
    summaries.close()
    found = {tag for tag, _ in events(tmp_path / "train")}
    assert found == {tag for tag in tags("train") if tag.startswith(("loss", "mse", "training"))}
    assert ("task", 10) in events(tmp_path / "validation")


def test_a_drawing_that_fails_is_not_lost(tmp_path, uncompiled):
    settings, family, learner = parts("--algorithm=maml")
    family.draw = lambda *task: 1 / 0
    summaries = Summaries(tmp_path, learner, family, settings)
    summaries.evaluation(10)
    summaries.task(10)
    with pytest.raises(InputError, match="^Sinusoid: its draw raised ZeroDivisionError"):
        summaries.close()
    assert ("loss/after", 10) in events(tmp_path / "validation")


class Characters(ImageClassification):
    """Made-up characters of Omniglot's size, for its network."""

    def __init__(self):
        # As many images a class as Omniglot has, of three characters.
        ink = np.stack([drawings(label) for label in range(24)]).reshape(8, -1, 105, 105)[:, :20]
        wide = np.pad(ink, [(0, 0), (0, 0), (0, 7), (0, 7)]).reshape(8, 20, 28, 4, 28, 4)
        small = np.uint8(255 * wide.mean((3, 5)))[..., np.newaxis]
        super().__init__({"train": small, "validation": small}, ways=5, shots=1, queries=5)

    def model(self, seed):
        return conv4(self.input_shape, self.output_size, seed)


@pytest.mark.slow
def test_a_whole_run_on_omniglot_stays_below_50_megabytes(tmp_path):
    settings = run_flags.resolve(run_flags.parse(["--validation_tasks=2", "--ways=5", "--shots=1"]))
    family = Characters()
    summaries = Summaries(tmp_path, build_learner(family, settings), family, settings)

    def size():
        return sum(path.stat().st_size for path in tmp_path.rglob("events*"))

    sizes = [size()]
    for step in range(3):
        summaries.training(step, {"loss": 1, "accuracy": 1, "meta_gradient_norm": 1}, 1)
    summaries.flush()
    sizes.append(size())
    for step in range(3):
        summaries.evaluation(step)
        summaries.task(step)
    summaries.close()
    sizes.append(size())
    a_training, an_evaluation = np.diff(sizes) / 3
    whole = sizes[0] + 60_000 / 100 * a_training + 60_000 / 1000 * an_evaluation
    assert an_evaluation > 10_000  # The images were written too.
    assert whole < 50e6, whole
