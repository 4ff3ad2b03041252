"""Two runs on identical tasks: by known scores, and as a person compares them."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from absl import flags

from metasgd_tf.evaluation import comparison
from metasgd_tf.evaluation.reports import Evaluation, write
from metasgd_tf.evaluation.trained_runs import LoadedRun, evaluate, load_run
from metasgd_tf.flags import run_flags, task_flags
from metasgd_tf.tasks.sinusoid import Sinusoid
from tests import synthetic_folder
from tests.metasgd_tf.evaluation.untrained import save_untrained
from tests.metasgd_tf.shell import ROOT, assert_refused, command
from trainers.checkpoints.loading import Origin
from trainers.errors import InputError

IMAGES = [
    "--task=image_folder",
    "--ways=3",
    "--shots=1",
    "--queries=2",
    "--image_size=8",
    "--image_channels=3",
    "--model=tests.fast_network:network",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs on the same images: of one step, of two, and of one that has no steps."""
    path = tmp_path_factory.mktemp("runs")
    synthetic_folder.write(path / "images", {f"kind {n}": 6 + n % 3 for n in range(10)})
    shared = [*IMAGES, f"--image_dir={path / 'images'}"]
    save_untrained(run_flags.parse([*shared, "--alpha_init=0.05"]), str(path / "one"))
    save_untrained(
        run_flags.parse([*shared, "--algorithm=maml", "--inner_steps=2", "--seed=1"]),
        str(path / "two"),
    )
    nets = ["--algorithm=prototypical_nets", "--train_ways=4"]
    save_untrained(run_flags.parse([*shared, *nets]), str(path / "nets"))
    return path


@pytest.fixture(scope="module")
def one(runs):
    return load_run(str(runs / "one"))


def test_a_paired_difference_is_that_of_the_pairs():
    random = np.random.default_rng(0)
    hardness = random.normal(0.0, 100.0, 50)
    one, other = (hardness + random.normal(mean, 0.1, 50) for mean in (1.0, 0.0))
    found = comparison.paired_difference(one, other)
    assert list(found) == ["difference", "ci95", "num_tasks"]
    assert found["difference"] == pytest.approx(np.mean(one - other), rel=1e-12)
    deviation = np.sqrt(np.sum((one - other - np.mean(one - other)) ** 2) / 49)
    assert found["ci95"] == pytest.approx(1.96 * deviation / np.sqrt(50), rel=1e-9)
    assert found["num_tasks"] == 50
    # The tasks' own difficulty drops out.
    assert found["ci95"] < 0.1


def test_each_run_counts_after_its_own_last_step():
    shared = (run_flags.parse([]), "sinusoid", Sinusoid(5, 5), None, "last", Origin(1, 1.0))
    run, other = (LoadedRun(name, *shared) for name in ("runs/a", "runs/b"))
    a = {5: {"mse": np.array([[9.0, 1.0], [9.0, 4.0]])}, 10: {"mse": np.array([[1.0, 2.0]] * 2)}}
    b = {5: {"mse": np.array([[8.0, 8.0, 2.0]] * 2)}, 10: {"mse": np.array([[0.0, 0.0, 0.5]] * 2)}}
    evaluated = Evaluation({"algorithm": "meta_sgd"}, a)
    others = Evaluation({"algorithm": "maml", "checkpoint": "last", "iteration": 7, "seed": 3}, b)
    comparison.compare(run, evaluated, other, others)
    found = evaluated.report["comparison"]
    assert {name: value for name, value in found.items() if name != "differences"} == {
        "model_dir": "b",
        "algorithm": "maml",
        "checkpoint": "last",
        "iteration": 7,
    }
    first, second = found["differences"]
    assert first == {
        "metric": "mse",
        "shots": 5,
        "inner_steps": 1,
        "other_inner_steps": 2,
        "difference": 0.5,
        "ci95": pytest.approx(1.96 * 1.5),  # −1 and 2: s = 3 / √2.
        "num_tasks": 2,
    }
    assert (second["shots"], second["difference"], second["ci95"]) == (10, 1.5, 0.0)
    title, head, *rows = comparison.table("runs/a", "runs/b", found).splitlines()
    assert title == "runs/a − runs/b, paired on identical tasks"
    assert rows[0].split() == ["mse", "5", "1,", "2", "+0.5000", "±", "2.9400", "2"]
    assert len(head) == len(rows[0]) == len(rows[1])


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--ways=2", "--ways=2 instead of 3"),
        ("--shots=2", "--shots=2 instead of 1"),
        ("--split_seed=5", "--split_seed=5 instead of 0"),
        ("--image_size=9", "--image_size=9 instead of 8"),
        ("--allow_incomplete=true", "--allow_incomplete=True instead of False"),
        ("--task=omniglot", "--task=omniglot instead of image_folder"),
    ],
)
def test_a_run_that_is_evaluated_on_other_tasks_is_refused(runs, one, tmp_path, flag, said):
    settings = run_flags.read(str(runs / "two"))
    name, _, value = flag[2:].partition("=")
    settings[name].parse(value)
    run_flags.write(settings, str(tmp_path))
    with pytest.raises(InputError) as refused:
        comparison.load_other(one, str(tmp_path))
    assert str(refused.value) == (
        f"compare_with={tmp_path}: is evaluated on other tasks than model_dir={one.model_dir} "
        f"({said}); name a run of the same task and protocol"
    )


def test_what_cannot_be_loaded_is_named_by_its_flag(runs, one, tmp_path):
    with pytest.raises(flags.Error, match=f"^compare_with={tmp_path}: holds no run"):
        comparison.load_other(one, str(tmp_path))
    run_flags.write(run_flags.read(str(runs / "two")), str(tmp_path))
    with pytest.raises(InputError, match=f"^compare_with={tmp_path}: holds no checkpoint"):
        comparison.load_other(one, str(tmp_path))


def test_sinusoids_compare_whatever_their_shots_in_training(tmp_path):
    few, many = (run_flags.parse(["--shots=5"]), run_flags.parse(["--shots=20", "--ways=2"]))
    run_flags.write(run_flags.resolve(many), str(tmp_path))
    run = LoadedRun("a", few, "sinusoid", Sinusoid(5, 5), None, "last", Origin(1, 1.0))
    with pytest.raises(InputError, match="holds no checkpoint"):
        comparison.load_other(run, str(tmp_path))
    many.fixed_frequency = True
    run_flags.write(run_flags.resolve(many), str(tmp_path))
    with pytest.raises(InputError, match="--fixed_frequency=True instead of False"):
        comparison.load_other(run, str(tmp_path))
    # On tasks that are named for both they are the same.
    with pytest.raises(InputError, match="holds no checkpoint"):
        comparison.load_other(run, str(tmp_path), {"fixed_frequency": False})


def test_the_other_run_is_loaded_at_the_checkpoint_of_the_first(tmp_path):
    settings = run_flags.parse(["--model=tests.fast_network:of_numbers"])
    # By mean squared errors, of which the smaller one is the better one.
    save_untrained(settings, str(tmp_path / "a"), {3: 0.5, 5: 0.75})
    save_untrained(settings, str(tmp_path / "b"), {4: 0.5, 6: 0.75})
    for kind, iterations in {"best": (3, 4), "last": (5, 6)}.items():
        run = load_run(str(tmp_path / "a"), kind)
        other = comparison.load_other(run, str(tmp_path / "b"))
        assert (run.origin.iteration, other.origin.iteration) == iterations
        assert other.checkpoint == kind


def test_both_runs_are_evaluated_on_the_tasks_of_the_first(one, runs):
    assert comparison.load_other(one, str(runs / "two")).family is one.family


def test_evaluate_compares_and_counts(runs):
    """The command, with both of its options."""
    directories = f"--model_dir={runs / 'one'}", f"--compare_with={runs / 'two'}"
    before = {path.name for path in (runs / "two").iterdir()}
    done = command("evaluate", *directories, "--num_tasks=12", "--eval_seed=3", "--confusion")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (runs / "two").iterdir()} == before
    first, second, third, fourth = done.stdout.strip().split("\n\n")
    task = f"image_folder {runs / 'images'}"
    assert first.startswith(f"{runs / 'one'}: {task}, meta_sgd, iteration 2\n")
    assert second.startswith(f"{runs / 'two'}: {task}, maml, iteration 2\n")
    assert (len(first.splitlines()), len(second.splitlines())) == (4, 5)
    assert third.startswith(f"{runs / 'one'} − {runs / 'two'}, paired on identical tasks\n")
    assert re.match(r"worst \d+ classes .*\n +class  accuracy  queries\n", fourth)

    report = json.loads((runs / "one" / "evaluation.json").read_text(encoding="utf-8"))
    (difference,) = report["comparison"]["differences"]
    ours, theirs = (float(re.findall(r"([\d.]+) ±", text)[-1]) for text in (first, second))
    assert ours == pytest.approx(report["results"][-1]["mean"], abs=1e-4)
    assert difference["difference"] == pytest.approx(ours - theirs, abs=2e-4)
    assert ours != theirs
    assert (difference["inner_steps"], difference["other_inner_steps"]) == (1, 2)

    with (runs / "one" / "confusion.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = sum(int(row["count"]) for row in rows if row["true_class"] == row["predicted_class"])
    total = sum(int(row["count"]) for row in rows)
    assert total % (12 * 3) == 0 and right / total == pytest.approx(ours, abs=1e-4)
    assert {row["true_class"] for row in rows} <= {f"kind {n}" for n in range(10)}


def test_what_cannot_be_written_has_been_printed(runs, tmp_path):
    shutil.copytree(runs / "nets", tmp_path / "run")
    (tmp_path / "run" / "evaluation.csv").mkdir()
    done = command("evaluate", f"--model_dir={tmp_path / 'run'}", "--num_tasks=2")
    assert done.returncode != 0 and "evaluation.csv" in done.stderr
    assert re.search(r"prototypical_nets, iteration 2\n.*\n *accuracy +1 ", done.stdout)


def accuracies(path):
    """Returns the accuracies of an evaluation by inner step, [tasks] each."""
    with (path / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = sorted({int(row["inner_steps"]) for row in rows})
    return {
        step: np.array([float(row["accuracy"]) for row in rows if row["inner_steps"] == f"{step}"])
        for step in steps
    }


@pytest.fixture(scope="module")
def evaluated_alone(runs):
    """Prototypical Nets, which have one state of a task, and MAML after none, one and two steps."""
    found = {}
    for name, steps in {"nets": [1], "two": [0, 1, 2]}.items():
        run = load_run(str(runs / name))
        evaluated = evaluate(run, num_tasks=6)
        write(str(runs / name), evaluated)
        own = accuracies(runs / name)
        assert list(own) == steps
        found[name] = run, evaluated, own[steps[-1]]
    return found


@pytest.mark.parametrize("first", ["nets", "two"])
def test_learners_of_different_kinds_are_compared_on_identical_tasks(runs, evaluated_alone, first):
    second = {"nets": "two", "two": "nets"}[first]
    run, evaluated, own = evaluated_alone[first]
    *_, others_own = evaluated_alone[second]
    other = comparison.load_other(run, str(runs / second))
    comparison.compare(run, evaluated, other, evaluate(other, num_tasks=6))
    (found,) = evaluated.report["comparison"]["differences"]
    steps = {"nets": 1, "two": 2}
    assert found == {
        "metric": "accuracy",
        "shots": 1,
        "inner_steps": steps[first],
        "other_inner_steps": steps[second],
        "difference": pytest.approx(np.mean(own - others_own), abs=1e-5),
        "ci95": pytest.approx(1.96 * np.std(own - others_own, ddof=1) / np.sqrt(6), abs=1e-4),
        "num_tasks": 6,
    }
    assert np.any(own != others_own)


@pytest.mark.parametrize("names", [("nets", "two"), ("two", "nets")])
def test_nothing_is_compared_before_adaptation_where_there_is_no_answer(runs, names):
    first, second = (runs / name for name in names)
    done = command(
        "evaluate", f"--model_dir={first}", f"--compare_with={second}", "--inner_steps=0"
    )
    said = assert_refused(done)
    assert f"inner_steps=0: the run in {runs / 'nets'} is of algorithm=prototypical_nets" in said


def test_a_comparison_with_nothing_is_refused(runs):
    done = command("evaluate", f"--model_dir={runs / 'one'}", "--compare_with=")
    assert "compare_with" in assert_refused(done)


def test_flags_that_only_say_where_data_lie_may_differ():
    assert "data_dir" in set(task_flags.TASK_FLAGS) & set(run_flags.FREE_FLAGS)
    defined = flags.FlagValues()
    run_flags.define_run_flags(defined)
    assert set(comparison.IMAGE_FLAGS) <= set(defined)


def test_the_inner_step_of_a_policy_is_its_own_runs(tmp_path):
    """Advantages and the inner loss are a family's, and not flags that tell tasks apart."""
    one, other = ROOT / "trained" / "navigation_fixed_maml_seed0", tmp_path / "other"
    shutil.copytree(one, other)
    with (other / run_flags.FILE_NAME).open("a", encoding="utf-8") as file:
        file.write("--entropy_weight=0.125\n")
    loaded = comparison.load_other(load_run(str(one)), str(other))
    assert loaded.family._entropy_weight == 0.125
    assert load_run(str(one)).family._entropy_weight != 0.125
