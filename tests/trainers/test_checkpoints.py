"""What training has reached is saved whole and found again."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.tasks.sinusoid import Sinusoid
from models.mlp import mlp
from trainers.checkpoints import files
from trainers.checkpoints.files import newest_whole
from trainers.checkpoints.loading import restore_learner
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.learners.reptile import Reptile
from trainers.supervised.meta_trainer import MetaTrainer

TASKS = Sinusoid(shots=3, queries=3).sampler("train")


def learner(seed=0, alpha="per_weight", model=None):
    return MetaLearner(
        model or mlp((1,), 1, seed, hidden=(8,), stddev=0.3), "mse", alpha=alpha, alpha_init=0.02
    )


def trainer(seed=0, momentum=None, **options):
    averaging = {} if momentum is None else {"use_ema": True, "ema_momentum": momentum}
    return MetaTrainer(
        learner(seed, **options),
        TASKS,
        keras.optimizers.Adam(0.01, **averaging),
        meta_batch_size=2,
        jit_compile=False,  # To spare compiling.
    )


def advance(made, iterations=1):
    """Changes all that training changes, without tracing a training for it."""
    kept = [*made.learner.meta_variables, *made.learner.moving_variables, *made.optimizer.variables]
    for variable in kept:
        variable.assign(variable + tf.cast(iterations, variable.dtype))
    made.iteration.assign_add(iterations)


def state(made):
    return [value.numpy() for value in [*made.theta, *made.alpha.rates]]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def saved_run(directory, iterations=(1, 2, 3)):
    """Saves a training at each of these iterations, and returns it."""
    made = trainer()
    saved = RunCheckpoints(made, str(directory))
    for number in iterations:
        advance(made, number - int(made.iteration.numpy()))
        saved.save()
    return made


def last(directory):
    return str(pathlib.Path(directory) / "checkpoints")


@pytest.mark.parametrize("alpha", ["per_weight", "per_layer", "fixed"])
def test_a_learner_is_restored_with_its_rates_and_origin(tmp_path, alpha):
    made = trainer(alpha=alpha)
    advance(made, 3)
    for rate in made.learner.alpha.rates:
        rate.assign(rate + 1)  # MAML's too is kept, though training never moves it.
    saved = RunCheckpoints(made, str(tmp_path))
    saved.seconds.assign(12.5)
    saved.save()
    other = learner(seed=1, alpha=alpha)
    assert any(
        not np.array_equal(a, b) for a, b in zip(state(other), state(made.learner), strict=True)
    )
    path, damaged = newest_whole(last(tmp_path))
    assert restore_learner(other, path) == (3, 12.5) and damaged == []
    assert_same(state(other), state(made.learner))


def test_moving_averages_are_restored(tmp_path):
    def network():
        return keras.Sequential(
            [keras.Input((1,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        )

    made = trainer(model=network())
    advance(made, 3)
    RunCheckpoints(made, str(tmp_path)).save()
    other = learner(model=network())
    restore_learner(other, tf.train.latest_checkpoint(last(tmp_path)))
    averages = [variable.numpy() for variable in other.model.non_trainable_variables]
    assert_same(averages, [v.numpy() for v in made.learner.model.non_trainable_variables])
    assert averages[0] != 0


@pytest.mark.parametrize("options", [{"alpha": "scalar"}, {"model": "wider"}, {"model": "deeper"}])
def test_another_shape_is_refused(tmp_path, options):
    RunCheckpoints(trainer(), str(tmp_path)).save()
    hidden = {"wider": (9,), "deeper": (8, 8)}.get(options.get("model"))
    if hidden:
        options = {"model": mlp((1,), 1, 0, hidden=hidden)}
    with pytest.raises((ValueError, AssertionError)):
        restore_learner(learner(**options), tf.train.latest_checkpoint(last(tmp_path)))


def test_going_on_equals_never_having_stopped(tmp_path):
    whole = trainer(0)
    whole.train(5)
    saved = RunCheckpoints(whole, str(tmp_path))
    saved.seconds.assign(7.0)
    saved.save(score=0.5)
    whole.train(7)
    second = trainer(1)  # Nothing of its own start is left.
    again = RunCheckpoints(second, str(tmp_path))
    assert again.exist() and again.restore() == []
    assert int(second.iteration.numpy()) == 5
    assert (again.best_score.numpy(), again.seconds.numpy()) == (0.5, 7.0)
    second.train(7)
    assert_same(state(second.learner), state(whole.learner))
    assert_same(
        [value.numpy() for value in second.optimizer.variables],
        [value.numpy() for value in whole.optimizer.variables],
    )


def test_an_empty_directory_leaves_the_start(tmp_path):
    made = trainer()
    before = state(made.learner)
    saved = RunCheckpoints(made, str(tmp_path / "new"))
    assert not saved.exist() and saved.restore() == []
    assert int(made.iteration.numpy()) == 0
    assert_same(state(made.learner), before)
    assert np.isnan(saved.best_score.numpy())


def test_the_best_may_be_the_smallest_and_outlasts_an_interruption(tmp_path):
    made = trainer()
    for score in (0.3, 0.2, 0.25):
        saved = RunCheckpoints(made, str(tmp_path), mode="min")
        saved.restore()
        advance(made)
        saved.save(score)
    assert [path.name for path in (tmp_path / "best").glob("*.index")] == ["ckpt-2.index"]
    assert saved.best_score.numpy() == 0.2


def test_saving_a_best_again_after_a_kill_in_between_leaves_it_whole(tmp_path):
    """As when a training ended after the best was written and before the last was."""
    made = saved_run(tmp_path, [1])
    advance(made)
    RunCheckpoints(made, str(tmp_path)).save(0.5)
    for path in (tmp_path / "checkpoints").glob("ckpt-2.*"):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "best").glob("ckpt-*")}
    again = trainer(1)
    saved = RunCheckpoints(again, str(tmp_path))
    assert saved.restore() == [] and int(again.iteration.numpy()) == 1
    advance(again)
    saved.save(0.5)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert newest_whole(str(tmp_path / "best"))[1] == []


def damage(path, how):
    content = path.read_bytes()
    if how == "flipped":
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]
    path.write_bytes(content if how == "flipped" else content[: int(len(content) * how)])


@pytest.mark.parametrize("how", [0, 0.5, 0.99, "flipped"])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, part, how):
    saved_run(tmp_path)
    damage(tmp_path / "checkpoints" / f"ckpt-3.{part}", how)
    made = trainer(1)
    saved = RunCheckpoints(made, str(tmp_path))
    assert saved.restore() == [f"{last(tmp_path)}/ckpt-3"]
    assert int(made.iteration.numpy()) == 2
    advance(made)
    saved.save()
    other = learner(seed=1)
    path, damaged = newest_whole(last(tmp_path))
    assert restore_learner(other, path).iteration == 3 and damaged == []


def test_a_missing_part_or_list_does_not_lose_the_rest(tmp_path):
    saved_run(tmp_path)
    (tmp_path / "checkpoints" / "ckpt-3.data-00000-of-00001").unlink()
    (tmp_path / "checkpoints" / "checkpoint").write_text("nonsense", encoding="utf-8")
    made = trainer(1)
    assert len(RunCheckpoints(made, str(tmp_path)).restore()) == 1
    assert int(made.iteration.numpy()) == 2


def test_what_a_training_replaces_while_it_is_read_is_not_damaged(tmp_path, monkeypatch):
    saved_run(tmp_path, [3])
    is_whole = files._is_whole

    def replaced(path):
        for part in (tmp_path / "checkpoints").glob("ckpt-3.*"):
            part.rename(part.with_name(part.name.replace("-3.", "-4.")))
        return is_whole(path)

    monkeypatch.setattr(files, "_is_whole", replaced)
    assert newest_whole(last(tmp_path)) == (f"{last(tmp_path)}/ckpt-4", [])


@pytest.mark.parametrize("left", [b"", b"\xff\xfe", b"\0" * 80])
def test_a_list_as_a_power_cut_leaves_it_does_not_lose_the_checkpoints(tmp_path, left):
    made = saved_run(tmp_path)
    advance(made)
    RunCheckpoints(made, str(tmp_path)).save(0.5)
    for kind in ("checkpoints", "best"):
        (tmp_path / kind / "checkpoint").write_bytes(left)
    again = trainer(1)
    saved = RunCheckpoints(again, str(tmp_path))
    assert saved.restore() == [] and int(again.iteration.numpy()) == 4
    assert_same(state(again.learner), state(made.learner))
    advance(again)
    saved.save(0.25)
    for kind, kept in (("checkpoints", [1, 2, 3, 4, 5]), ("best", [5])):
        names = sorted(path.name for path in (tmp_path / kind).glob("*.index"))
        assert names == [f"ckpt-{number}.index" for number in kept]


def test_checkpoints_that_are_all_damaged_are_not_taken_for_none(tmp_path):
    saved_run(tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.index"):
        damage(path, 0.5)
    saved = RunCheckpoints(trainer(), str(tmp_path))
    assert saved.exist()
    with pytest.raises(InputError, match=r"all checkpoints in it are damaged.*ckpt-1.*ckpt-3"):
        saved.restore()


def test_variables_that_a_checkpoint_does_not_have_are_one_sentence(tmp_path):
    """SGD keeps nothing, and Adam its moments."""
    sgd, adam = (
        Reptile(mlp((1,), 1, 0, hidden=(8,)), "mse", inner_optimizer=name)
        for name in ("sgd", "adam")
    )
    RunCheckpoints(MetaTrainer(sgd, TASKS), str(tmp_path)).save()
    message = "ckpt-0: holds other variables than this learner has"
    with pytest.raises(InputError, match=message):
        RunCheckpoints(MetaTrainer(adam, TASKS), str(tmp_path)).restore()
    with pytest.raises(InputError, match=message):
        restore_learner(adam, tf.train.latest_checkpoint(last(tmp_path)))


def test_a_training_of_another_shape_is_one_sentence(tmp_path):
    small, large = (Reptile(mlp((1,), 1, 0, hidden=(width,)), "mse") for width in (4, 8))
    RunCheckpoints(MetaTrainer(small, TASKS), str(tmp_path)).save()
    with pytest.raises(InputError, match="ckpt-0: holds variables of other shapes than this"):
        RunCheckpoints(MetaTrainer(large, TASKS), str(tmp_path)).restore()


def test_a_mode_that_is_none_is_refused_before_anything_is_saved(tmp_path):
    with pytest.raises(InputError, match="^mode='maximum': should be one of min, max$"):
        RunCheckpoints(trainer(), str(tmp_path), mode="maximum")


@pytest.mark.parametrize("name", ["lr[0.1]", "run?", "a*", "a\\b"])
def test_a_directory_that_is_a_pattern_to_tensorflow_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="^directory=.*: has .*, which TensorFlow takes for a pat"):
        RunCheckpoints(trainer(), str(tmp_path / name))


def test_a_training_is_not_saved_beside_one_that_is_further(tmp_path):
    saved_run(tmp_path, [1, 3])
    made = trainer(1)
    advance(made, 2)
    with pytest.raises(InputError, match="has iteration 3 of a training, and this one is at 2; re"):
        RunCheckpoints(made, str(tmp_path)).save(0.5)
    found = sorted(path.name for path in tmp_path.rglob("ckpt-*.index"))
    assert found == ["ckpt-1.index", "ckpt-3.index"]


def test_a_training_goes_on_beside_a_damaged_checkpoint_that_is_further(tmp_path):
    saved_run(tmp_path, [1, 3])
    (tmp_path / "checkpoints" / "ckpt-3.data-00000-of-00001").unlink()
    made = trainer(1)
    saved = RunCheckpoints(made, str(tmp_path))
    assert len(saved.restore()) == 1
    advance(made)
    saved.save()
    assert newest_whole(last(tmp_path))[0] == f"{last(tmp_path)}/ckpt-2"
