"""Any combination of flags: a run is made of it, or it is refused with one sentence."""

import math
import tempfile

import numpy as np
import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.outer_optimizer import outer_optimizer
from metasgd_tf.runs.training import train_run
from tests import synthetic_folder
from trainers.errors import DivergedError, InputError

# Small, so that whatever is accepted is soon done.
COUNTS = ["1", "2", "3", "0", "-1", "x", ""]
REALS = ["0", "0.5", "1", "0.01", "-1", "2", "1e30", "1e-30", "nan", "inf", "x"]
SEEDS = ["0", "1", "2147483647", "2147483648", "-1"]
STRINGS = {
    "model": [
        "models.mlp:mlp",
        "tests.fast_network:network",
        "models.mlp:none",
        "models",
        "os:getcwd",
    ],
    "data_dir": ["/nowhere"],
    "manual_dir": ["/nowhere"],
    "image_dir": ["/nowhere", ""],
    "class_splits": ["/nowhere.csv"],
    "dataset": ["mnist_of_nobody"],
}
# Those that would load data from the network are for tests of their own.
TASKS = ["sinusoid", "navigation", "image_folder", "examples.lines:lines", "nowhere:none", "chess"]
FIXED = ("iterations", "summary_interval", "checkpoint_interval", "validation_tasks", "verbosity")
RUN = ["--iterations=1", "--summary_interval=1", "--checkpoint_interval=1", "--validation_tasks=2"]


def values_of(flag):
    """Returns what a flag may be set to in these tests, good and bad values alike."""
    if flag.name == "task":
        return TASKS
    if isinstance(flag.parser, flags.EnumParser):
        return [*flag.parser.enum_values, "nonsense"]
    if isinstance(flag.parser, flags.BooleanParser):
        return ["true", "false", "maybe"]
    if flag.name in ("seed", "split_seed"):
        return SEEDS
    kind = flag.parser.syntactic_help
    if isinstance(flag.parser, flags.IntegerParser):
        return COUNTS
    if isinstance(flag.parser, flags.FloatParser):
        return REALS
    return STRINGS.get(flag.name, [kind or "x"])


def all_flags():
    found = flags.FlagValues()
    run_flags.define_run_flags(found)
    return {name: values_of(found[name]) for name in run_flags.names() if name not in FIXED}


FLAGS = all_flags()


@st.composite
def arguments(draw):
    """Draws a command line: an algorithm, a task, and up to five other flags."""
    chosen = draw(st.lists(st.sampled_from(sorted(FLAGS)), max_size=5, unique=True))
    given_first = [
        f"--algorithm={draw(st.sampled_from(sorted(ALGORITHMS)))}",
        f"--task={draw(st.sampled_from(TASKS))}",
        "--shots=1",
        "--queries=1",
        "--ways=2",
        "--meta_batch_size=2",
        "--horizon=3",
        "--trajectories=2",
        "--inner_steps=1" if draw(st.booleans()) else "--seed=1",
    ]
    return [*given_first, *(f"--{name}={draw(st.sampled_from(FLAGS[name]))}" for name in chosen)]


@pytest.fixture(scope="module")
def image_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    synthetic_folder.write(folder, {f"class {n}": 3 for n in range(9)})
    return folder


def one_sentence(error):
    text = str(error)
    assert text.strip() and "Traceback" not in text, text
    return text


def with_images(given_flags, image_dir):
    """Gives the folder of images where none is named."""
    has = any(one.startswith("--image_dir") for one in given_flags)
    small = [f"--image_dir={image_dir}", "--image_size=16"]
    return (
        given_flags if has or "--task=image_folder" not in given_flags else [*small, *given_flags]
    )


@settings(max_examples=200)
@given(arguments())
def test_any_flags_resolve_and_are_kept_or_are_refused_in_a_sentence(given_flags):
    try:
        resolved = run_flags.resolve(run_flags.parse(given_flags))
    except flags.Error as error:
        one_sentence(error)
        return
    again = run_flags.resolve(run_flags.parse(run_flags.serialize(resolved)))
    assert run_flags.serialize(again) == run_flags.serialize(resolved)


def made(given_flags):
    """Makes all that a training is made of; returns the sentence with which that was refused."""
    try:
        resolved = run_flags.resolve(run_flags.parse(given_flags))
        family = tasks.from_flags(resolved, ("train", "validation"))
        build_learner(family, resolved)
        outer_optimizer(resolved)
    except (InputError, flags.Error) as error:
        return one_sentence(error)
    return None


@settings(max_examples=25)
@given(given_flags=arguments())
def test_a_learner_is_made_of_any_flags_or_they_are_refused(image_dir, given_flags):
    made(with_images(given_flags, image_dir))


@pytest.mark.slow
@settings(max_examples=200)
@given(given_flags=arguments())
def test_any_flags_train_or_end_in_a_sentence(image_dir, given_flags):
    with tempfile.TemporaryDirectory() as folder:
        try:
            settings_of_run = run_flags.parse([*with_images(given_flags, image_dir), *RUN])
            trainer = train_run(settings_of_run, f"{folder}/run")
        except (InputError, DivergedError, flags.Error) as error:
            one_sentence(error)
        else:
            assert int(trainer.iteration.numpy()) == 1
            for variable in trainer.learner.meta_variables:
                assert np.all(np.isfinite(variable.numpy())), math.nan
