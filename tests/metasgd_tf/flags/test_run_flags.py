"""Flags: the published configurations, what an algorithm stands for, and how a run is kept."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import algorithm_flags, run_flags, task_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from trainers.learners import alpha, inner_optimizers, mann

ROOT = pathlib.Path(__file__).parents[3]
CONFIGS = sorted(run_flags.CONFIGS.glob("*.flags"))
NAME = re.compile(
    r"(?P<task>[a-z_]+?)_(((?P<ways>\d+)way)?(?P<shots>\d+)shot|(?P<start>fixed|varying))"
    r"_(?P<algorithm>[a-z_]+?)(_(?P<steps>\d+)step|_recipe)?"
)


def test_there_are_configurations():
    assert run_flags.CONFIGS == ROOT / "configs"
    assert len(CONFIGS) >= 8


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_is_what_its_name_says(path):
    settings = run_flags.parse([f"--flagfile={path}"])
    said = NAME.fullmatch(path.stem)
    assert said, f"{path.name} should be called TASK_SETTING_ALGORITHM.flags"
    assert settings.task == said["task"] in tasks.NAMES
    assert settings.algorithm == said["algorithm"] in ALGORITHMS
    if said["start"]:
        assert settings.start == said["start"]
    else:
        assert settings.shots == int(said["shots"])
    if said["ways"]:
        assert settings.ways == int(said["ways"])
    if said["steps"]:
        assert settings.inner_steps == int(said["steps"])
    assert settings.iterations % settings.checkpoint_interval == 0
    assert settings.checkpoint_interval % settings.summary_interval == 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_can_be_kept_and_read_back(path, tmp_path):
    resolved = run_flags.resolve(run_flags.parse([f"--flagfile={path}"]))
    run_flags.refuse_unused(resolved)
    run_flags.write(resolved, str(tmp_path))
    assert values(run_flags.read(str(tmp_path))) == values(resolved)


def values(settings):
    names = flags.FlagValues()
    run_flags.define_run_flags(names)
    return {name: settings[name].value for name in names}


def test_what_is_written_is_read_back(tmp_path):
    settings = run_flags.parse(
        [
            "--task=omniglot",
            "--data_dir=/a directory/with=signs, #and 'quotes'",
            "--nofirst_order",
            "--alpha_init=0.1",
            "--clip_norm=1e-07",
            "--fixed_frequency",
            "--image_dir=images of 'cats', and dogs",
            "--image_channels=1",
            f"--seed={2**31 - 1}",
        ]
    )
    model_dir = tmp_path / "not" / "there yet"
    run_flags.write(settings, str(model_dir))
    assert [path.name for path in model_dir.iterdir()] == ["flags.txt"]
    found = values(run_flags.read(str(model_dir)))
    assert found == values(settings)
    assert found["alpha"] is None and found["first_order"] is False
    assert (found["alpha_init"], found["clip_norm"]) == (0.1, 1e-7)


def test_reading_where_no_run_is_names_the_directory(tmp_path):
    with pytest.raises(flags.Error, match=f"model_dir={tmp_path}: holds no run"):
        run_flags.read(str(tmp_path))


def test_reading_checkpoints_without_flags_says_what_is_lost(tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "checkpoint").touch()
    with pytest.raises(flags.Error, match="has checkpoints and no flags.txt, which says how"):
        run_flags.read(str(tmp_path))


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("meta_sgd", ("per_weight", None, False, 1)),
        ("meta_sgd_first_order", ("per_weight", None, True, 1)),
        ("layer_rates", ("per_layer", None, False, 1)),
        ("scalar_rate", ("scalar", None, False, 1)),
        ("maml", ("fixed", 0.01, False, 1)),
        ("maml_first_order", ("fixed", 0.01, True, 1)),
        ("anil", ("fixed", 0.01, False, 1)),
        ("maml_plus_plus", (None, 0.1, None, 5)),
        ("meta_lstm", (None, None, None, 12)),
        ("reptile", (None, None, None, 5, "adam", 0.001, 10)),
        ("matching_nets", (*[None] * 7, 1.0, False)),
        ("prototypical_nets", ()),
        ("siamese_nets", ()),
        ("mann", (*[None] * 10, "sequences")),
    ],
)
def test_an_algorithm_sets_the_flags_that_it_uses(algorithm, expected):
    names = ("alpha", "alpha_init", "first_order", "inner_steps", "inner_optimizer")
    names += ("inner_rate", "inner_batch", "temperature", "full_context_embeddings", "train_ways")
    names += ("train_on",)
    expected += (None,) * (len(names) - len(expected))
    settings = run_flags.parse(["--task=omniglot", f"--algorithm={algorithm}"])
    resolved = run_flags.resolve(settings)
    assert tuple(resolved[name].value for name in names) == expected
    assert all(settings[name].value is None for name in names)  # A copy was resolved.
    assert values(run_flags.resolve(resolved)) == values(resolved)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_flag_that_only_others_use_is_refused(algorithm):
    given = {"alpha": "fixed", "inner_steps": 2, "train_ways": 7, "temperature": 2.0}
    given |= {"full_context_embeddings": True, "inner_optimizer": "sgd", "inner_batch": 3}
    given |= {"multi_step_iterations": 0, "first_order_iterations": 7, "train_on": "episodes"}
    for name, value in given.items():
        settings = run_flags.parse(
            ["--task=omniglot", f"--algorithm={algorithm}", f"--{name}={value}"]
        )
        if name in ALGORITHMS[algorithm].flags:
            assert run_flags.resolve(settings)[name].value == value
        else:
            with pytest.raises(flags.Error, match=f"{name}={value}: algorithm={algorithm} has no"):
                run_flags.resolve(settings)


def test_an_algorithm_is_refused_for_tasks_that_it_cannot_learn():
    with pytest.raises(flags.Error, match="should be one of meta_sgd, .*maml_first_order$"):
        run_flags.resolve(run_flags.parse(["--task=navigation", "--algorithm=anil"]))


def test_what_is_given_wins_over_the_algorithm():
    settings = run_flags.parse(
        ["--algorithm=maml_first_order", "--alpha=scalar", "--nofirst_order", "--alpha_init=0.5"]
    )
    resolved = run_flags.resolve(settings)
    assert (resolved.alpha, resolved.first_order, resolved.alpha_init) == ("scalar", False, 0.5)


def test_flags_after_a_flagfile_override_it():
    flagfile = f"--flagfile={ROOT / 'configs' / 'sinusoid_10shot_maml.flags'}"
    settings = run_flags.parse([flagfile, "--shots=3"])
    assert (settings.shots, settings.queries, settings.algorithm) == (3, 10, "maml")


def test_the_kinds_of_alpha_and_inner_optimizers_are_the_trainers():
    assert algorithm_flags.ALPHA_KINDS == alpha.KINDS
    assert tuple(inner_optimizers.INNER_OPTIMIZERS) == algorithm_flags.INNER_OPTIMIZERS


def test_momentum_is_that_of_sgd_alone():
    for given, expected in (([], 0.9), (["--momentum=0"], 0.0)):
        resolved = run_flags.resolve(run_flags.parse(["--optimizer=sgd", *given]))
        assert resolved.momentum == expected
    assert run_flags.resolve(run_flags.parse([])).momentum is None
    with pytest.raises(flags.Error, match="momentum=0.5: optimizer=adam has no use for it"):
        run_flags.resolve(run_flags.parse(["--momentum=0.5"]))


def test_what_mann_trains_on_is_what_it_can():
    assert algorithm_flags.TRAIN_ON == mann.TRAIN_ON
    assert ALGORITHMS["mann"].flags["train_on"] in mann.TRAIN_ON


def test_only_what_belongs_to_the_task_may_differ_in_an_evaluation():
    defined = flags.FlagValues()
    task_flags.define_task_flags(defined, None)
    assert set(defined) - set(flags.FlagValues()) == set(task_flags.TASK_FLAGS)


@pytest.mark.parametrize(
    "argument",
    [
        "--clip_norm=0",
        "--clip_norm=inf",
        "--meta_learning_rate=-1",
        "--meta_learning_rate=nan",
        "--seed=-1",
        f"--seed={2**31}",
        "--split_seed=-1",
        "--alpha=per_neuron",
        "--momentum=1.5",
        "--inner_batch=0",
        "--image_size=7",
        "--image_channels=2",
    ],
)
def test_values_out_of_range_are_refused(argument):
    with pytest.raises(flags.Error, match=argument[2:].partition("=")[0]):
        run_flags.parse([argument])


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("module", ["flags.run_flags", "train", "evaluate", "command_line"])
def test_importing_a_command_does_not_import_tensorflow(module):
    code = (
        f"import sys, metasgd_tf.{module}\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    )
    done = python("-c", code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("train", ["model_dir", "task", "algorithm", "iterations", "alpha_init"]),
        ("evaluate", ["model_dir", "num_tasks", "inner_steps", "task", "data_dir"]),
        ("evaluate", ["image_dir", "dataset", "class_splits"]),
    ],
)
def test_help_lists_the_flags_without_importing_tensorflow(command, names):
    done = python("-X", "importtime", "-m", f"metasgd_tf.{command}", "--help")
    assert "| tensorflow" not in done.stderr and "absl.flags" in done.stderr
    for name in names:
        assert re.search(rf"--(\[no\])?{name}:", done.stdout), f"--{name} is not listed"


def test_a_folder_of_any_name_is_read_back(tmp_path):
    folder = os.fsdecode(b"/data/d\xe9p\xf4t $5$ ")
    written = run_flags.parse(["--task=image_folder", f"--image_dir={folder}"])
    run_flags.write(written, str(tmp_path))
    read = run_flags.read(str(tmp_path))
    assert read.image_dir == folder
    assert not run_flags.differences(written, read)
    assert [path.name for path in tmp_path.iterdir()] == [run_flags.FILE_NAME]


def test_comments_and_empty_lines_set_no_flag(tmp_path):
    text = "# one\n\n// two\n--task=sinusoid\n--algorithm=maml\n--seed=7\n"
    (tmp_path / run_flags.FILE_NAME).write_text(text, encoding="utf-8")
    read = run_flags.read(str(tmp_path))
    assert (read.task, read.algorithm, read.seed) == ("sinusoid", "maml", 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no --task, --algorithm, --seed"),
        ("--task=sinusoid\n--seed=7\n", "it has no --algorithm"),
        ("hello world\n", "unexpected argument 'hello world': every option is --name=value"),
        ("\ufeff--task=omniglot\n--algorithm=maml\n--seed=7\n", r"unexpected .*ufeff--task=omnig"),
        ("--task=sinusoid\n--algorithm=maml\n--seed=7\nhello\n--ways=3\n", "argument 'hello'"),
        ("--task=sinusoid\n--algorithm=maml\n--seed=7\n--wings=2\n", "Unknown .*'wings'"),
        ("--task=sinusoid\n--algorithm=maml\n--seed=x\n", "--seed=x"),
    ],
)
def test_a_file_that_is_no_runs_is_refused(tmp_path, text, said):
    (tmp_path / run_flags.FILE_NAME).write_text(text, encoding="utf-8")
    whole = (
        rf"^compare_with={tmp_path}: its flags\.txt is not as .* \(.*{said}.*\); put a whole copy"
    )
    with pytest.raises(flags.Error, match=whole):
        run_flags.read(str(tmp_path), "compare_with")


def test_a_run_from_before_a_flag_was_there_has_its_default():
    now = run_flags.resolve(run_flags.parse([]))
    assert now.remat is False
    before = run_flags.resolve(run_flags.parse([]))
    before.remat = None
    assert not run_flags.differences(now, before)
    now.remat = True
    assert run_flags.differences(now, before) == ["--remat=True instead of False"]


@pytest.mark.parametrize("name", ["alpha_init", "body_alpha_init", "inner_discount", "momentum"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_are_finite(name, value):
    with pytest.raises(flags.Error, match=name):
        run_flags.parse([f"--{name}={value}"])
