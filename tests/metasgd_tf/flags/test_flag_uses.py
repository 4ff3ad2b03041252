"""Which tasks use a flag, against what the tasks' own modules read."""

import ast
import importlib
import inspect

import pytest
from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import flag_uses, run_flags
from metasgd_tf.runs.training import train_run

OF_ANY_TASK = {"train_ways", "data_dir", "manual_dir"}
"""Flags that task modules read and that are an algorithm's, or say where data are."""
BY_CHANCE = {"image_folder", "tfds_images"}
"""Tasks whose classes are divided by `images.class_splits`, which reads flags for them."""


def read_by(task):
    tree = ast.parse(inspect.getsource(importlib.import_module(f"metasgd_tf.tasks.{task}")))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "settings"
    }
    return read | ({"split_seed", "class_splits"} if task in BY_CHANCE else set())


@pytest.mark.parametrize("task", tasks.NAMES)
def test_a_task_uses_what_its_module_reads(task):
    used = {name for name, users in flag_uses.USERS.items() if task in users}
    assert used == read_by(task) - OF_ANY_TASK
    assert flag_uses.unused(task) == set(flag_uses.USERS) - used


def test_flags_are_those_of_the_tasks_that_are_asked_for():
    flag_uses.refuse_unused("omniglot", {"task": "omniglot", "protocol": "maml", "ways": 5})
    flag_uses.refuse_unused("tfds_images", {"class_splits": "", "data_dir": "/data"})
    flag_uses.refuse_unused("own.tasks:birds", {"image_dir": "birds", "fixed_frequency": True})
    said = "class_splits=: is for --task=image_folder or tfds_images, and task=omniglot has no use"
    with pytest.raises(flags.Error, match=said):
        flag_uses.refuse_unused("omniglot", {"class_splits": ""})


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("sinusoid", "--ways=7", "ways=7: is for --task=image_folder or mini_imagenet or omniglot"),
        ("navigation", "--queries=7", "queries=7: is for --task=sinusoid or image_folder or mini_"),
        ("omniglot", "--image_size=28", "image_size=28: is for --task=image_folder or tfds_images"),
        ("omniglot", "--trust_region=1", "trust_region=1.0: is for --task=navigation"),
        ("sinusoid", "--noinner_normalise", "inner_normalise=False: is for --task=navigation"),
    ],
)
def test_training_refuses_what_its_tasks_do_not_use(task, given, said, tmp_path):
    settings = run_flags.parse([f"--task={task}", given])
    with pytest.raises(flags.Error, match=f"^{said}.*task={task} has no use for it; should be"):
        train_run(settings, str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def test_a_default_that_is_given_is_not_refused():
    run_flags.refuse_unused(run_flags.parse(["--task=sinusoid", "--ways=5", "--horizon=100"]))


def test_an_earlier_run_with_an_unused_flag_goes_on_without_it():
    earlier = run_flags.parse(["--task=sinusoid", "--ways=7"])
    run_flags.resolve(earlier)
    assert run_flags.differences(run_flags.parse(["--task=sinusoid"]), earlier) == []
    of_images = run_flags.parse(["--task=omniglot", "--ways=7"])
    (difference,) = run_flags.differences(run_flags.parse(["--task=omniglot"]), of_images)
    assert difference == "--ways=5 instead of 7"
