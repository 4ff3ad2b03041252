"""Which checkpoints stay in a run's directory, whatever came between: five and the best one."""

import time

from tests.trainers.test_checkpoints import (
    advance,
    assert_same,
    learner,
    saved_run,
    state,
    trainer,
)
from trainers.checkpoints.files import newest_whole
from trainers.checkpoints.loading import restore_learner
from trainers.checkpoints.run_checkpoints import RunCheckpoints


def files(folder):
    return sorted(path.name for path in folder.glob("ckpt-*"))


def whole(numbers):
    parts = ("data-00000-of-00001", "index")
    return [f"ckpt-{number}.{part}" for number in numbers for part in parts]


def test_the_last_five_and_the_best_checkpoint_stay(tmp_path):
    made = trainer()
    saved = RunCheckpoints(made, str(tmp_path), mode="max")
    states = {}
    for number, score in enumerate([0.1, 0.8, 0.3, None, 0.8, float("nan"), 0.7], start=1):
        advance(made)
        saved.save(score)
        states[number] = state(made.learner)
    kept = {
        kind: sorted(path.name for path in (tmp_path / kind).glob("*.index"))
        for kind in ("checkpoints", "best")
    }
    assert kept == {
        "checkpoints": [f"ckpt-{number}.index" for number in (3, 4, 5, 6, 7)],
        "best": ["ckpt-2.index"],  # The first of the two that reached it.
    }
    for kind, number in (("checkpoints", 7), ("best", 2)):
        other = learner(seed=1)
        path, _ = newest_whole(str(tmp_path / kind))
        assert restore_learner(other, path).iteration == number
        assert_same(state(other), states[number])


def test_as_many_stay_after_the_clock_was_set_back(tmp_path, monkeypatch):
    now = 2_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    saved_run(tmp_path, range(1, 6))
    now = 1_000_000.0
    made = trainer()
    saved = RunCheckpoints(made, str(tmp_path))
    saved.restore()
    for _ in range(2):
        advance(made)
        saved.save(score=-float(made.iteration.numpy()))
    assert files(tmp_path / "checkpoints") == whole(range(3, 8))
    assert files(tmp_path / "best") == whole([7])


def test_what_kills_leave_of_older_checkpoints_goes_with_them(tmp_path):
    """Kills between the two files of one that is removed, and while one is written."""
    made = saved_run(tmp_path, range(1, 7))
    (tmp_path / "checkpoints" / "ckpt-1.data-00000-of-00001").write_bytes(b"left")
    draft = tmp_path / "checkpoints" / "ckpt-5_temp"
    draft.mkdir()
    (draft / "part-00000-of-00001.index").write_bytes(b"left")
    (tmp_path / "checkpoints" / "ckpt-10_temp").mkdir()  # Of a later one: it may be at work.
    advance(made)
    RunCheckpoints(made, str(tmp_path)).save()
    assert files(tmp_path / "checkpoints") == ["ckpt-10_temp", *whole(range(3, 8))]


def test_a_kill_before_the_old_best_went_leaves_one_best(tmp_path):
    made = saved_run(tmp_path, [1])
    RunCheckpoints(made, str(tmp_path), mode="max").save(0.4)
    old = {path: path.read_bytes() for path in (tmp_path / "best").glob("ckpt-1.*")}
    advance(made)
    RunCheckpoints(made, str(tmp_path), mode="max").save(0.5)
    for path, content in old.items():
        path.write_bytes(content)
    for path in (tmp_path / "checkpoints").glob("ckpt-2.*"):
        path.unlink()
    again = trainer(1)
    saved = RunCheckpoints(again, str(tmp_path), mode="max")
    saved.restore()
    advance(again)
    saved.save(0.5)
    assert files(tmp_path / "best") == whole([2])


def test_what_a_kill_left_can_be_removed_without_saving_again(tmp_path):
    """As when the kill comes after the last checkpoint, and nothing is left to train."""
    made = saved_run(tmp_path, range(1, 7))
    left = tmp_path / "checkpoints" / "ckpt-1.data-00000-of-00001"
    left.write_bytes(b"left")
    again = trainer(1)
    saved = RunCheckpoints(again, str(tmp_path))
    saved.restore()
    saved.remove_older()
    assert files(tmp_path / "checkpoints") == whole(range(2, 7))
    assert_same(state(again.learner), state(made.learner))
