"""Files that are written whole or not at all."""

import os
import subprocess
import sys
import time

import pytest

from metasgd_tf.output.atomic_file import drafted, replaced


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before", encoding="utf-8")
    with replaced(path) as file:
        file.write("é\r\n")
        assert path.read_text(encoding="utf-8") == "before"
    assert path.read_bytes() == "é\r\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, UnicodeEncodeError])
def test_nothing_is_left_of_what_could_not_be_written(tmp_path, raised, existing):
    path = tmp_path / "table.csv"
    if existing:
        path.write_text("before", encoding="utf-8")
    with pytest.raises(raised), replaced(path) as file:
        file.write("half")
        if raised is UnicodeEncodeError:
            file.write("\udce9")
            file.flush()
        raise raised
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == ["before"] * existing


def test_nor_where_it_cannot_be_moved_into_place(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError), drafted(tmp_path / "folder") as draft:
        draft.write_bytes(b"all")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_is_not_there_is_the_error(tmp_path):
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "gone" / "table.csv"):
        pass


def test_bytes_that_are_not_utf_8_may_be_kept(tmp_path):
    with replaced(tmp_path / "names", errors="surrogateescape") as file:
        file.write("\udce9")
    assert (tmp_path / "names").read_bytes() == b"\xe9"


def test_two_processes_write_one_file_side_by_side(tmp_path):
    path = tmp_path / "table.csv"
    program = "import pathlib, sys; from metasgd_tf.output.atomic_file import replaced\n"
    program += "with replaced(pathlib.Path(sys.argv[1])) as file: file.write('the other')"
    with replaced(path) as file:
        file.write("the first")
        subprocess.run([sys.executable, "-c", program, path], check=True)
        assert path.read_text(encoding="utf-8") == "the other"
    assert path.read_text(encoding="utf-8") == "the first"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_of_one_number_have_drafts_of_their_own(tmp_path, monkeypatch):
    """As in two containers, each of which counts its processes from 1."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with drafted(tmp_path / "a.txt") as one, drafted(tmp_path / "a.txt") as other:
        assert one != other
        for draft in (one, other):
            draft.touch()


def test_what_a_killed_process_left_is_removed_later(tmp_path):
    old, new, others = (tmp_path / f"{n}.draft" for n in ("a.txt.1", "a.txt.2", "b.txt.1"))
    for draft in (old, new, others):
        draft.write_text("half", encoding="utf-8")
    two_hours_ago = time.time() - 7200
    for draft in (old, others):
        os.utime(draft, (two_hours_ago, two_hours_ago))
    with replaced(tmp_path / "a.txt") as file:
        file.write("all")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.txt", new, others]
