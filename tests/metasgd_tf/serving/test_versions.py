"""The numbered folders of an export."""

import os
import stat

import pytest

from metasgd_tf.serving import versions
from trainers.errors import InputError


def write(text):
    return lambda folder: (folder / "model").write_text(text, encoding="utf-8") and None


def test_each_version_has_the_next_number(tmp_path):
    root = tmp_path / "not" / "there"
    for number in (1, 2, 3):
        path = versions.write_next(str(root), write(f"{number}"))
        assert path == root / str(number)
        assert (path / "model").read_text(encoding="utf-8") == str(number)
    assert sorted(os.listdir(root)) == ["1", "2", "3"]


def test_numbers_are_counted_and_nothing_else(tmp_path):
    for name in ("9", "10", "notes", ".draft-1", "-3", "2.5"):
        (tmp_path / name).mkdir()
    assert versions.numbers(str(tmp_path)) == [9, 10]
    assert versions.newest(str(tmp_path)).name == "10"
    assert versions.write_next(str(tmp_path), write("x")).name == "11"


def test_a_version_is_not_there_before_it_is_whole(tmp_path):
    def look(folder):
        assert versions.numbers(str(tmp_path)) == []
        assert not folder.parent.name.isdecimal() and folder.parent.parent == tmp_path
        write("x")(folder)

    versions.write_next(str(tmp_path), look)
    assert versions.numbers(str(tmp_path)) == [1]


def test_a_number_that_another_export_took_is_passed_over(tmp_path):
    def overtaken(folder):
        write("mine")(folder)
        versions.write_next(str(tmp_path), write("the other's"))

    assert versions.write_next(str(tmp_path), overtaken).name == "2"
    assert (tmp_path / "1" / "model").read_text(encoding="utf-8") == "the other's"


def test_others_may_read_a_version(tmp_path):
    """A server runs as another user than who exports."""
    mask = os.umask(0o022)
    try:
        path = versions.write_next(str(tmp_path), write("x"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_what_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match=r"export_dir=.*file: cannot be made"):
        versions.write_next(str(tmp_path / "file"), write("x"))
    with pytest.raises(InputError, match=r"export_dir=.*: holds no export"):
        versions.newest(str(tmp_path))
    with pytest.raises(InputError, match=r"export_dir=.*: holds no export"):
        versions.newest(str(tmp_path / "nowhere"))


def test_a_directory_that_is_a_pattern_to_tensorflow_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^export_dir=.*/exp\[1\]: has '\[', which TensorFlow"):
        versions.write_next(str(tmp_path / "exp[1]"), write("x"))
    assert not list(tmp_path.iterdir())
