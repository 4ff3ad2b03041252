"""The faults that are brought about: in short, and how ends are compared."""

import json
import os
import pathlib
import random
import subprocess
import sys

import pytest
import tensorflow as tf

from benchmarks.faults import damage, endings
from benchmarks.faults.commands import Done
from benchmarks.faults.outcome import without_folders
from tests.metasgd_tf.shell import LIMIT, ROOT

PROGRAM = [sys.executable, "-m", "benchmarks.faults"]


def write_curve(folder, values):
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(0):
        for step, value in enumerate(values):
            tf.summary.scalar("loss", value, step)
            tf.summary.scalar("training/iterations_per_second", 3.0, step)
    writer.close()


def test_curves_are_read_up_to_where_a_kill_cut_them_off(tmp_path):
    write_curve(tmp_path, [1.0, 2.0])
    (path,) = tmp_path.glob("events*")
    whole = endings.curves(tmp_path)
    assert set(whole) == {("loss", 0), ("loss", 1)}
    path.write_bytes(path.read_bytes()[:-3])
    assert set(endings.curves(tmp_path)) == set(whole)  # What is cut off is the other curve.
    write_curve(tmp_path, [5.0])
    later = endings.curves(tmp_path)
    assert later["loss", 0] != whole["loss", 0] and later["loss", 1] == whole["loss", 1]


def test_differences_name_what_is_missing_and_what_is_another():
    assert endings.differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == ["a", "b", "c"]
    assert endings.differences({"a": "1"}, {"a": "1"}) == []


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_changes_a_file_the_same_way_for_a_seed(tmp_path, kind):
    content = bytes(range(200))
    left = []
    for number in range(2):
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        damage.KINDS[kind](path, random.Random(3))
        left.append(path.read_bytes() if path.exists() else None)
    assert left[0] == left[1] != content


@pytest.mark.parametrize(
    ("code", "said", "refused", "crashed"),
    [
        (1, ["note: a", "error: no space"], "no space", False),
        (1, ["error: no space", "more"], None, False),
        (1, ["Traceback (most recent call last):", "error: x"], None, True),
        (0, ["error: x"], None, False),
        (-11, ["error: x"], None, True),
    ],
)
def test_a_refusal_is_one_sentence_at_the_end(code, said, refused, crashed):
    done = Done(code, said, 1.0)
    assert (done.refused, done.crashed) == (refused, crashed)


def test_sentences_are_without_this_machines_folders():
    folder = pathlib.Path("/tmp/x1")
    told = without_folders(f"{folder}/run/a.tempstate123: full", [folder])
    assert told == "…/run/a.tempstate: full"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kills_sinusoid", "full_disks", "removed", "two_trainings"])
def test_faults_end_as_promised(tmp_path, fault):
    file = tmp_path / "faults.json"
    # A process of its own, since it moves into a namespace.
    done = subprocess.run(
        [*PROGRAM, "--kills=1", f"--faults={fault}", f"--json={file}"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "TF_XLA_FLAGS"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if not file.exists():
        pytest.skip(done.stdout.strip())
    for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
        assert row["as_promised"] == row["times"] > 0, row
