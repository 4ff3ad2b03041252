"""What distributions over supervised tasks keep to, checked on each module of `metasgd_tf.tasks`.

A new family needs one row in `CASES`; one of another kind has a test of its own.
"""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from examples import clusters, lines
from metasgd_tf import tasks
from metasgd_tf.evaluation.trained_runs import task_name
from metasgd_tf.flags import run_flags
from metasgd_tf.images import mini_imagenet
from tests import synthetic_folder, synthetic_tfds
from trainers.episodes import Episode, Protocol
from trainers.families import Family
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import SPLITS, fold_in, stream
from trainers.supervised.meta_gradient import meta_gradient
from trainers.task_family import TaskFamily


class Case(NamedTuple):
    """A small instance of a family: its flags, and how many examples its episodes then have."""

    flags: list[str]
    support: int
    query: int
    data: tuple[str, str] | None = None
    """The function that loads its data, and the fixture with what that gives."""
    directory: tuple[str, str] | None = None
    """The flag that says where its data are, and the fixture with its value."""


CASES = {
    "sinusoid": Case(["--shots=3", "--queries=4"], 3, 4),
    "omniglot": Case(
        ["--ways=3", "--shots=2", "--queries=4"],
        6,
        12,
        ("metasgd_tf.tasks.omniglot.load_drawings", "omniglot_drawings"),
    ),
    "image_folder": Case(
        ["--ways=3", "--shots=2", "--queries=4", "--image_size=16"],
        6,
        12,
        directory=("image_dir", "image_dir"),
    ),
    "mini_imagenet": Case(
        ["--ways=3", "--shots=2", "--queries=4"],
        6,
        12,
        ("metasgd_tf.images.mini_imagenet.load", "photographs"),
    ),
    "tfds_images": Case(
        ["--dataset=striped_flags", "--ways=3", "--shots=1", "--queries=4", "--image_size=16"],
        3,
        12,
        directory=("data_dir", "striped_flags_dir"),
    ),
    f"{lines.__name__}:lines": Case(["--shots=3", "--queries=4"], 3, 4),
    f"{clusters.__name__}:clusters": Case(["--ways=3", "--shots=2", "--queries=4"], 6, 12),
}

WITHOUT_EPISODES = ("navigation",)
"""Families of tasks that are not supervised; each has a test of its own."""


@pytest.fixture(scope="module")
def image_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    synthetic_folder.write(path, {f"kind {number}": 6 + number % 3 for number in range(10)})
    return path


@pytest.fixture(scope="module")
def photographs():
    """What `mini_imagenet.load` gives, of few classes with images of noise."""
    rng = np.random.default_rng(0)
    loaded = {}
    for split in SPLITS:
        labels = np.repeat(np.arange(4), 21)
        images = rng.integers(0, 256, (len(labels), 84, 84, 3), np.uint8)
        names = tuple(f"n{number:08d}" for number in range(4))
        loaded[split] = mini_imagenet.LabelledImages(images, labels, names)
    return loaded


@pytest.fixture(scope="module")
def striped_flags_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tensorflow_datasets")
    synthetic_tfds.StripedFlags(data_dir=str(path)).download_and_prepare()
    return path


@pytest.fixture(scope="module", params=sorted({*tasks.NAMES, *CASES} - {*WITHOUT_EPISODES}))
def case(request):
    if request.param not in CASES:
        pytest.fail(f"the family {request.param} has no row in CASES of {__name__}: add one")
    return request.param, CASES[request.param]


@pytest.fixture(scope="module")
def family(request, case):
    name, (flags, _, _, data, directory) = case
    if directory:
        flags = [*flags, f"--{directory[0]}={request.getfixturevalue(directory[1])}"]
    with pytest.MonkeyPatch.context() as patch:
        if data:
            loaded = request.getfixturevalue(data[1])
            patch.setattr(data[0], lambda *arguments: loaded)
        return tasks.from_flags(run_flags.parse([f"--task={name}", *flags]), SPLITS)


@pytest.mark.parametrize("name", WITHOUT_EPISODES)
def test_only_families_without_episodes_are_left_out(name):
    family = tasks.from_flags(run_flags.parse([f"--task={name}"]), ())
    assert isinstance(family, Family) and not isinstance(family, TaskFamily)


def test_without_data_it_says_what_its_tasks_look_like(case, family):
    name, (flags, *_) = case
    bare = tasks.from_flags(run_flags.parse([f"--task={name}", *flags]), ())
    assert isinstance(family, TaskFamily)
    assert (bare.input_shape, bare.output_size) == (family.input_shape, family.output_size)


def arrays(episode):
    return [part.numpy() for part in episode]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


def draw(family, protocol, task, repeat, seed=0):
    return family.evaluation_episode(
        stream(seed, "test"), "test", protocol, tf.constant(task), tf.constant(repeat)
    )


def check_part(family, inputs, targets):
    assert inputs.dtype == tf.float32
    assert tuple(inputs.shape[1:]) == family.input_shape
    assert len(targets) == len(inputs)
    if targets.dtype.is_integer:
        assert targets.dtype == tf.int32
        of_each_class = [len(inputs) // family.output_size] * family.output_size
        np.testing.assert_array_equal(np.bincount(targets), of_each_class)
    else:
        assert targets.dtype == tf.float32
    assert np.all(np.isfinite(inputs)) and np.all(np.isfinite(targets))


@pytest.mark.parametrize("split", SPLITS)
def test_episodes_have_the_sizes_that_the_flags_ask_for(family, case, split):
    episode = family.episode(stream(0, split), split)
    assert isinstance(episode, Episode)
    check_part(family, episode.support_inputs, episode.support_targets)
    check_part(family, episode.query_inputs, episode.query_targets)
    assert (len(episode.support_inputs), len(episode.query_inputs)) == case[1][1:3]


@pytest.mark.parametrize("split", SPLITS)
def test_shapes_are_known_before_anything_is_drawn(family, split):
    traced = tf.function(family.sampler(split)).get_concrete_function(tf.TensorSpec([2], tf.int32))
    drawn = family.episode(stream(0, split), split)
    for promised, part in zip(traced.structured_outputs, drawn, strict=True):
        assert promised.shape.is_fully_defined()
        assert (promised.shape, promised.dtype) == (part.shape, part.dtype)


@pytest.mark.parametrize("split", SPLITS)
def test_an_episode_is_a_function_of_its_seed(family, split):
    sampler = family.sampler(split)
    seed = stream(5, split)
    drawn = sampler(seed)
    assert equal(drawn, sampler(stream(5, split)))
    for other in (stream(6, split), fold_in(seed, 1)):
        assert not np.array_equal(drawn.support_inputs, sampler(other).support_inputs)
        assert not np.array_equal(drawn.query_inputs, sampler(other).query_inputs)


def test_eager_graph_and_xla_draw_the_same_episode(family):
    sampler = family.sampler("train")
    for jit_compile in (False, True):
        compiled = tf.function(sampler, jit_compile=jit_compile)
        for number in range(3):
            seed = fold_in(stream(1, "train"), number)
            for a, b in zip(sampler(seed), compiled(seed), strict=True):
                # Up to rounding: a graph divides by 255 in its own way, and XLA has its own sine.
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_splits_differ(family):
    inputs = {
        split: family.episode(stream(0, split), split).support_inputs.numpy() for split in SPLITS
    }
    assert not np.array_equal(inputs["train"], inputs["validation"])
    assert not np.array_equal(inputs["train"], inputs["test"])
    assert not np.array_equal(inputs["validation"], inputs["test"])


def test_loss_and_metrics_give_one_number_an_example(family):
    episode = family.episode(stream(0, "train"), "train")
    outputs = family.model(0)(episode.query_inputs, training=True)
    count = len(episode.query_inputs)
    assert family.metric in family.metrics
    for score in (family.loss, *family.metrics.values()):
        values = score(episode.query_targets, outputs).numpy()
        assert values.shape == (count,) and np.all(np.isfinite(values))


def test_the_model_fits_the_tasks_and_follows_its_seed(family):
    one, same, other = (family.model(seed) for seed in (1, 1, 2))
    assert tuple(one.input_shape) == (None, *family.input_shape)
    assert tuple(one.output_shape) == (None, family.output_size)
    weights = [[w.numpy() for w in model.trainable_variables] for model in (one, same, other)]
    for a, b in zip(*weights[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [number for number, weight in enumerate(weights[0]) if weight.ndim > 1]
    assert kernels
    assert all(not np.array_equal(weights[0][n], weights[2][n]) for n in kernels)


def test_protocols_have_the_number_of_tasks_that_is_asked_for(family):
    usual, asked = family.protocols(None), family.protocols(7)
    assert usual and all(isinstance(protocol, Protocol) for protocol in usual)
    assert [protocol._replace(num_tasks=7) for protocol in usual] == asked
    assert all(p.num_tasks >= 100 and p.repeats >= 1 and p.shots >= 1 for p in usual)
    shots = [protocol.shots for protocol in usual]
    assert len(set(shots)) == len(shots)


def test_evaluation_episodes_have_the_protocols_shots(family, case):
    a_shot = case[1].support // family.shots
    for protocol in family.protocols(2):
        episode = draw(family, protocol, 0, 0)
        check_part(family, episode.support_inputs, episode.support_targets)
        check_part(family, episode.query_inputs, episode.query_targets)
        assert len(episode.support_inputs) == protocol.shots * a_shot


def test_evaluation_episodes_are_numbered(family):
    protocol = family.protocols(2)[0]
    first = draw(family, protocol, 0, 0)
    assert equal(first, draw(family, protocol, 0, 0))
    assert equal(first, draw(family, protocol._replace(num_tasks=9), 0, 0))
    for other in (draw(family, protocol, 1, 0), draw(family, protocol, 0, 0, seed=1)):
        assert not np.array_equal(first.support_inputs, other.support_inputs)
        assert not (
            np.array_equal(first.query_inputs, other.query_inputs)
            and np.array_equal(first.query_targets, other.query_targets)
        )


def test_repeats_are_support_sets_of_one_task(family):
    protocols = [protocol for protocol in family.protocols(2) if protocol.repeats > 1]
    if not protocols:
        assert [p.repeats for p in family.protocols(2)] == [1] * len(family.protocols(2))
        return
    first = draw(family, protocols[0], 1, 0)
    for protocol in protocols:
        one, other = draw(family, protocol, 1, 1), draw(family, protocol, 1, 2)
        assert not np.array_equal(one.support_inputs, other.support_inputs)
        for episode in (one, other):
            np.testing.assert_array_equal(episode.query_inputs, first.query_inputs)
            np.testing.assert_array_equal(episode.query_targets, first.query_targets)


def test_a_learner_can_be_trained_on_it(family):
    learner = MetaLearner(family.model(0), family.loss, metrics=family.metrics, alpha_init=0.01)
    seed = tf.constant([1, 2])
    episode = tf.function(family.sampler("train"))(seed)  # In a graph, as in training.
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
    gradient, scores, _ = meta_gradient(learner, values, episode, seed)
    assert set(scores) == {"loss", *family.metrics}
    assert all(np.isfinite(value) for value in scores.values())
    assert np.isfinite(tf.linalg.global_norm(gradient)) and tf.linalg.global_norm(gradient) > 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--task=image_folder", "--image_dir=birds"], "image_folder birds"),
        (["--task=tfds_images", "--dataset=dtd"], "tfds_images dtd"),
        (["--task=omniglot", "--dataset=dtd"], "omniglot"),
        (["--task=own.tasks:birds", "--image_dir=birds"], "own.tasks:birds birds"),
        (["--task=sinusoid", "--fixed_frequency"], "sinusoid, fixed frequency"),
        (["--task=omniglot", "--fixed_frequency"], "omniglot"),
        (["--task=own.tasks:waves", "--fixed_frequency"], "own.tasks:waves, fixed frequency"),
    ],
)
def test_another_folder_or_data_set_is_another_domain(arguments, name):
    assert task_name(run_flags.parse(arguments)) == name
