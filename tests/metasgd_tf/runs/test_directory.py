"""A run's directory, which is there for a run only."""

import pytest

from metasgd_tf.flags import run_flags
from metasgd_tf.runs.directory import claimed, refuse_another_run
from trainers.errors import InputError


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


@pytest.mark.parametrize(
    ("cell", "algorithm", "other"),
    [
        ("5way1shot", "maml", "meta_sgd"),
        ("5way1shot", "meta_sgd", "anil"),
        ("1shot", "prototypical_nets", "matching_nets"),
    ],
)
def test_a_flagfiles_run_is_not_resumed_under_another_algorithm(cell, algorithm, other, tmp_path):
    flagfile = f"--flagfile={run_flags.CONFIGS / f'omniglot_{cell}_{algorithm}.flags'}"
    settings = run_flags.resolve(run_flags.parse([flagfile]))
    run_flags.write(settings, str(tmp_path))
    refuse_another_run(settings, str(tmp_path))
    changed = run_flags.resolve(run_flags.parse([flagfile, f"--algorithm={other}"]))
    with pytest.raises(InputError) as refused:
        refuse_another_run(changed, str(tmp_path))
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"model_dir={tmp_path}: holds a run with other flags (")
    assert f"--algorithm={other} instead of {algorithm}" in line
    assert line.endswith("); go on with the same ones, or name another directory")
