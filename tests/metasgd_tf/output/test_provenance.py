"""Where a number comes from, in this checkout."""

import platform
import subprocess

from metasgd_tf.output.provenance import provenance


def test_it_names_versions_that_are_installed_and_no_others():
    versions = provenance(("numpy", "no-such-distribution"))["versions"]
    assert versions["python"] == platform.python_version()
    assert "numpy" in versions and "no-such-distribution" not in versions


def test_changed_files_show_in_the_commit(monkeypatch):
    def run(command, **_):
        output = "abc\n" if "rev-parse" in command else " M file.py\n"
        return subprocess.CompletedProcess(command, 0, stdout=output)

    monkeypatch.setattr(subprocess, "run", run)
    assert provenance()["commit"] == "abc+changes"


def test_there_is_no_commit_outside_git(monkeypatch):
    def run(command, **_):
        raise subprocess.CalledProcessError(128, command)

    monkeypatch.setattr(subprocess, "run", run)
    assert provenance()["commit"] is None
