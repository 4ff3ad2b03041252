"""Where a number comes from: the machine, the versions and the commit."""

import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Any

from trainers.devices import cores

DISTRIBUTIONS = ("tensorflow", "keras", "numpy", "tensorflow-datasets")


def provenance(distributions: tuple[str, ...] = DISTRIBUTIONS) -> dict[str, Any]:
    """Returns the commit, machine and versions by which a published number was computed.

    Args:
      distributions: the packages whose versions are included if they are installed.
    """
    versions = {"python": platform.python_version()}
    for name in distributions:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"commit": _commit(), "machine": _machine(), "versions": versions}


def _machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    except OSError:
        pass
    return {"system": platform.platform(), "processor": processor, "cores": cores()}


def _commit() -> str | None:
    """Returns the checkout's commit, with `+changes` where files differ; None outside of one.

    What is installed may lie within the checkout of another project, whose commit is not meant.
    """
    root = pathlib.Path(__file__).resolve().parents[2]
    git = ["git", "-C", str(root)]
    try:
        top = subprocess.run(
            [*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True
        ).stdout.rstrip("\n")
        if pathlib.Path(top).resolve() != root:
            return None
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")
