"""A run's directory, which is there for a run only."""

import pytest

from metasgd_tf.runs.directory import claimed


def test_a_directory_that_stays_empty_is_removed(tmp_path):
    with pytest.raises(KeyError), claimed(str(tmp_path / "run")):
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", [True, False])
def test_one_that_was_there_or_holds_something_stays(there, tmp_path):
    path = tmp_path / "run"
    if there:
        path.mkdir()
    with pytest.raises(KeyError), claimed(str(path)):
        if not there:
            (path / "flags.txt").write_text("")
        raise KeyError
    assert path.is_dir()
    assert (path / "flags.txt").exists() != there
