"""Where a number comes from, in this checkout."""

import platform
import subprocess

import pytest

from metasgd_tf.output.provenance import provenance
from tests.metasgd_tf.shell import ROOT


def test_it_names_versions_that_are_installed_and_no_others():
    versions = provenance(("numpy", "no-such-distribution"))["versions"]
    assert versions["python"] == platform.python_version()
    assert "numpy" in versions and "no-such-distribution" not in versions


@pytest.mark.parametrize(("top", "commit"), [(ROOT, "abc+changes"), (ROOT.parent, None)])
def test_changed_files_show_in_the_commit_of_this_checkout_alone(monkeypatch, top, commit):
    """What is installed may lie within the checkout of a project that uses it."""

    def run(command, **_):
        given = {"--show-toplevel": f"{top}\n", "HEAD": "abc\n"}
        output = given.get(command[-1], " M file.py\n")
        return subprocess.CompletedProcess(command, 0, stdout=output)

    monkeypatch.setattr(subprocess, "run", run)
    assert provenance()["commit"] == commit


def test_there_is_no_commit_outside_git(monkeypatch):
    def run(command, **_):
        raise subprocess.CalledProcessError(128, command)

    monkeypatch.setattr(subprocess, "run", run)
    assert provenance()["commit"] is None
