"""Which classes a run is evaluated on, and what is said where there is no checkpoint."""

import pytest

from metasgd_tf.evaluation.trained_runs import load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.images import class_splits
from tests import synthetic_folder
from tests.metasgd_tf.evaluation.untrained import save_untrained
from trainers.errors import InputError

NAMES = [f"kind {number:02}" for number in range(20)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two ways on a folder of 20 classes, which are divided by chance."""
    path = tmp_path_factory.mktemp("run")
    synthetic_folder.write(path / "images", dict.fromkeys(NAMES, 5))
    arguments = ["--task=image_folder", "--ways=2", "--shots=1", "--queries=2", "--image_size=8"]
    arguments += [f"--image_dir={path / 'images'}", "--model=tests.fast_network:network"]
    settings = run_flags.parse([*arguments, "--algorithm=prototypical_nets"])
    save_untrained(settings, str(path / "run"))
    return str(path / "run")


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
