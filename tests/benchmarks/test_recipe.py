"""The search for a recipe: what its candidates are, and how they are compared and resumed."""

import json

import numpy as np
import pytest
from absl import flags

from benchmarks import recipe
from metasgd_tf.runs import training
from metasgd_tf.tasks import omniglot
from trainers.errors import InputError

CELLS = ("20way1shot", "5way5shot")
SMALL = (
    "--model=tests.fast_network:network",
    "--ways=2",
    "--queries=1",
    "--meta_batch_size=2",
    "--validation_tasks=2",
)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [name for name in recipe.CANDIDATES if "ways" not in name])
def test_every_candidate_is_a_run_of_the_same_tasks(cell, name):
    settings = recipe.settings_of(cell, name, 96_000)
    base = recipe.settings_of(cell, "base", 96_000)
    assert settings.iterations * settings.meta_batch_size == 96_000
    assert settings.decay == "cosine" and settings.checkpoint_interval * 2 >= settings.iterations
    same = ("ways", "shots", "split", "split_seed", "protocol", "seed")
    assert [settings[one].value for one in same] == [base[one].value for one in same]


def test_several_candidates_are_one_by_a_plus():
    assert recipe.arguments_of("tied+ways_2+ema", 20) == [
        "--tied_head",
        "--adapted=last_layer",
        "--train_ways=40",
        "--ema_momentum=0.995",
    ]
    settings = recipe.settings_of("5way5shot", "tied+ways_1.5", 640)
    assert (settings.tied_head, settings.train_ways, settings.iterations) == (True, 7, 40)
    with pytest.raises(flags.Error, match="candidates=base\\+best: there is no best; should be of"):
        recipe.settings_of("5way5shot", "base+best", 64)
    with pytest.raises(flags.Error, match="omniglot_7way1shot_meta_sgd"):
        recipe.settings_of("7way1shot", "base", 64)


@pytest.fixture
def small(monkeypatch, omniglot_drawings):
    """Makes candidates small, and counts the trainings."""
    monkeypatch.setattr(omniglot, "load_drawings", lambda data_dir: omniglot_drawings)
    for name in ("base", "alpha_0.4"):
        monkeypatch.setitem(recipe.CANDIDATES, name, (*SMALL, *recipe.CANDIDATES[name]))
    trained, train_run = [], training.train_run

    def counted(settings, model_dir):
        trained.append(model_dir)
        return train_run(settings, model_dir)

    monkeypatch.setattr(training, "train_run", counted)
    return trained


@pytest.mark.slow
def test_candidates_are_compared_task_by_task_and_not_done_again(small, tmp_path):
    recipe.search(str(tmp_path), "20way1shot", ["base"], 8, scored=5)
    results = recipe.search(str(tmp_path), "20way1shot", ["base", "alpha_0.4"], 8, scored=5)
    assert [path.rpartition("/")[2] for path in small] == ["base", "alpha_0.4"]
    assert json.loads((tmp_path / "20way1shot.json").read_text(encoding="utf-8")) == results
    base, other = (results[name] for name in ("base", "alpha_0.4"))
    assert base["iterations"] == 4 and other["flags"] == [*SMALL, "--alpha_init=0.4"]
    for found in (base, other):
        for split in ("validation", "training"):
            by_task = np.array(found[split]["by_task"])
            # 7 queries of each of 2 classes.
            np.testing.assert_allclose(by_task * 14, np.rint(by_task * 14), atol=1e-4)
            assert found[split]["mean"] == pytest.approx(by_task.mean(), abs=1e-6)
    apart = np.subtract(other["validation"]["by_task"], base["validation"]["by_task"])
    ci95 = 1.96 * apart.std(ddof=1) / np.sqrt(5)
    rows = recipe.table(results).splitlines()
    (row,) = (row for row in rows if "alpha_0.4" in row)
    assert f"{100 * apart.mean():+.2f} ± {100 * ci95:.2f}" in row
    assert len(rows) == 3


@pytest.mark.parametrize(("name", "value"), [("budget", 9), ("scored", 6), ("flags", ["--seed=1"])])
def test_results_of_something_else_are_not_mixed(tmp_path, name, value):
    asked = {"budget": 8, "scored": 5, "flags": []}
    held = {**asked, name: value}
    (tmp_path / "20way1shot").mkdir()
    (tmp_path / "20way1shot" / "base.json").write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(InputError, match="base.json is of ") as info:
        recipe.search(str(tmp_path), "20way1shot", ["base"], 8, scored=5)
    assert f"of {name}={value} instead of {asked[name]}" in (str(info.value))
