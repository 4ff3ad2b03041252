"""Which classes and tasks a run is evaluated on, and what is said where there is no checkpoint."""

import csv

import numpy as np
import pytest
from absl import flags

from metasgd_tf.evaluation import restoring
from metasgd_tf.evaluation.reports import write
from metasgd_tf.evaluation.trained_runs import evaluate, load_run, refuse_steps
from metasgd_tf.flags import run_flags
from metasgd_tf.images import class_splits, classification
from tests import synthetic_folder
from tests.metasgd_tf.evaluation.untrained import save_untrained
from trainers.errors import InputError

NAMES = [f"kind {number:02}" for number in range(20)]


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    """The flags of tasks of two ways, of a folder of 20 classes, which are divided by chance."""
    folder = tmp_path_factory.mktemp("images")
    synthetic_folder.write(folder, dict.fromkeys(NAMES, 5))
    arguments = ["--task=image_folder", "--ways=2", "--shots=1", "--queries=2", "--image_size=8"]
    return [*arguments, f"--image_dir={folder}", "--model=tests.fast_network:network"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, of_images):
    """A run on these, of a learner without inner steps."""
    path = str(tmp_path_factory.mktemp("run"))
    save_untrained(run_flags.parse([*of_images, "--algorithm=prototypical_nets"]), path)
    return path


def test_more_ways_are_tested_on_the_classes_that_training_left(run):
    of_training = class_splits.drawn(NAMES, 0, 2, "a folder")
    for ways in (2, 3, 4):
        loaded = load_run(run, other_task={"ways": ways})
        assert list(loaded.family.class_names("test")) == of_training["test"]
        assert (loaded.family.ways, loaded.learner.ways, loaded.settings.ways) == (ways,) * 3
    # Divided anew for six ways, the test would have had classes of training.
    anew = class_splits.drawn(NAMES, 0, 6, "a folder")
    assert set(anew["test"]) & set(of_training["train"])
    with pytest.raises(InputError, match="ways=6: the test split has 4 classes"):
        load_run(run, other_task={"ways": 6})


def test_a_run_without_a_best_checkpoint_says_so(run):
    with pytest.raises(InputError, match="holds no best checkpoint, as none was validated yet; ta"):
        load_run(run, checkpoint="best")


def test_a_best_checkpoint_that_is_replaced_meanwhile_gives_way_to_the_new_one(
    of_images, tmp_path, monkeypatch
):
    settings = run_flags.parse([*of_images, "--algorithm=prototypical_nets"])
    save_untrained(settings, str(tmp_path), {2: 0.5})
    built = restoring.build_learner

    def replaced(*arguments):
        learner = built(*arguments)
        for path in (tmp_path / "best").glob("ckpt-2.*"):
            path.rename(path.with_name(path.name.replace("-2.", "-4.")))
        return learner

    monkeypatch.setattr(restoring, "build_learner", replaced)
    assert load_run(str(tmp_path), checkpoint="best").origin.iteration == 2


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("fixed_frequency", True, "fixed_frequency=True: is for --task=sinusoid, and task=image_f"),
        ("protocol", "maml", "protocol=maml: is for --task=omniglot, and task=image_folder has no"),
        ("within_alphabet", True, "within_alphabet=True: is for --task=omniglot, and task=image_"),
        ("dataset", "dtd", "dataset=dtd: is for --task=tfds_images, and task=image_folder has no"),
        ("horizon", 7, "horizon=7: is for --task=navigation, and task=image_folder has no use fo"),
    ],
)
def test_flags_of_other_tasks_are_refused(run, flag, value, said):
    with pytest.raises(flags.Error, match=f"^{said}.*; should be left out$"):
        load_run(run, other_task={flag: value})


def test_more_steps_than_one_are_refused_where_there_are_none(run):
    loaded, other = load_run(run), load_run(run)
    for algorithm in ("matching_nets", "prototypical_nets", "siamese_nets", "mann"):
        loaded.settings.algorithm = algorithm
        for allowed in (None, 1):
            refuse_steps([loaded], allowed)
        said = f"^inner_steps=2: the learner of model_dir={run} learns in the one way that it has;"
        with pytest.raises(InputError, match=said):
            refuse_steps([loaded], 2)
        other.settings.algorithm = "siamese_nets"
        with pytest.raises(InputError, match=said):
            refuse_steps([loaded, other], 2)
        other.settings.algorithm = "maml"  # Whose steps it is compared with.
        refuse_steps([loaded, other], 2)
    for algorithm in ("meta_sgd", "maml", "anil", "maml_plus_plus", "meta_lstm", "reptile"):
        loaded.settings.algorithm = algorithm
        refuse_steps([loaded], 50)


def test_fewer_tasks_are_scored_before_adaptation_unless_that_is_all(
    of_images, tmp_path, monkeypatch
):
    monkeypatch.setattr(classification, "SCORED_BEFORE", 2)
    save_untrained(run_flags.parse([*of_images, "--alpha_init=0.05"]), str(tmp_path))
    run = load_run(str(tmp_path))
    for steps, expected in ((1, {0: 2, 1: 4}), (0, {0: 4})):
        evaluated = evaluate(run, num_tasks=4, inner_steps=steps)
        results = evaluated.report["results"]
        assert {row["inner_steps"]: row["num_tasks"] for row in results} == expected
        # The scores of those tasks and of no others, in the means and in the table.
        (scores,) = (by_metric["accuracy"] for by_metric in evaluated.per_task.values())
        means = [scores[:count, step].mean() for step, count in expected.items()]
        np.testing.assert_allclose([row["mean"] for row in results], means)
        write(str(tmp_path), evaluated)
        with (tmp_path / "evaluation.csv").open(newline="", encoding="utf-8") as file:
            found = [(int(row["inner_steps"]), int(row["task"])) for row in csv.DictReader(file)]
        assert sorted(found) == [
            (step, task) for step, count in expected.items() for task in range(count)
        ]
