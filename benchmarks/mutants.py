"""Changes the modules that matter most, one place at a time, and asks whether a test notices.

    python -m benchmarks.mutants --modules=update_rule

Works on a copy of the last commit in build/mutants, with cosmic-ray (requirements-mutate.txt).
Every mutant is tried with the tests that mirror its module; those that survive are listed. What is
done is kept: a run that was broken off goes on. The exit code is 1 if a mutant survives.
"""

import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

from absl import app, flags

from benchmarks.driver import ROOT


class Module(NamedTuple):
    """A module to change.

    Attributes:
      path: its file.
      tests: the files of tests that should notice.
    """

    path: str
    tests: tuple[str, ...]


MODULES = {
    "update_rule": Module("trainers/update_rule.py", ("tests/trainers/test_update_rule.py",)),
    "alpha": Module("trainers/learners/alpha.py", ("tests/trainers/learners/test_alpha.py",)),
    "advantages": Module(
        "trainers/policies/advantages.py", ("tests/trainers/policies/test_advantages.py",)
    ),
    "trust_region": Module(
        "trainers/policies/trust_region.py", ("tests/trainers/policies/test_trust_region.py",)
    ),
    "batch_norm": Module(
        "trainers/stateless/batch_norm.py", ("tests/trainers/stateless/test_batch_norm.py",)
    ),
    "classification": Module(
        "metasgd_tf/images/classification.py",
        ("tests/metasgd_tf/images/test_classification.py",),
    ),
}
"""By name: the rule, α, the advantages, the trust region, batch statistics, the episode sampler."""

LEFT_OUT = (
    # In annotations it means "or"; the others only make what no expression here could be.
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/ReplaceBinaryOperator_.*_(BitOr|BitAnd|BitXor|LShift|RShift|Mod|FloorDiv|Pow)",
    # What marks arguments as given by name is taken for one.
    "core/ReplaceUnaryOperator_.*",
)
"""Kinds of mutants that are not made."""

_MODULES = flags.DEFINE_list("modules", list(MODULES), "Which modules.")
_SECONDS = flags.DEFINE_integer("seconds", 600, "How long the tests may take for a mutant.")


def configuration(module: Module, seconds: int) -> str:
    """Returns what cosmic-ray is told about a module."""
    tests = " ".join(module.tests)
    command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider -m 'not slow' {tests}"
    return "\n".join(
        [
            "[cosmic-ray]",
            f"module-path = {json.dumps([module.path])}",
            f"timeout = {seconds}.0",
            "excluded-modules = []",
            f"test-command = {json.dumps(command)}",
            "[cosmic-ray.distributor]",
            'name = "local"',
            "[cosmic-ray.filters.operators-filter]",
            f"exclude-operators = {json.dumps(list(LEFT_OUT))}",
            "",
        ]
    )


def tried(name: str, copy: pathlib.Path) -> list[dict[str, Any]]:
    """Tries the mutants of a module.

    Returns:
      A row for each: the operator, where, and the outcome, `killed`, `survived` or `incompetent`.
    """
    config, session = f"{name}.toml", f"{name}.sqlite"
    (copy / config).write_text(configuration(MODULES[name], _SECONDS.value), encoding="utf-8")
    tool = str(pathlib.Path(sys.executable).with_name("cosmic-ray"))
    if not (copy / session).exists():
        subprocess.run([tool, "init", config, session], cwd=copy, check=True)
        subprocess.run(
            [tool.replace("cosmic-ray", "cr-filter-operators"), session, config],
            cwd=copy,
            check=True,
        )
    subprocess.run([tool, "exec", config, session], cwd=copy, check=True)
    return rows(
        subprocess.run(
            [tool, "dump", session], cwd=copy, check=True, capture_output=True, text=True
        ).stdout
    )


def rows(dumped: str) -> list[dict[str, Any]]:
    """Reads what cosmic-ray tells of a session; leaves out mutants that were not made."""
    found = []
    for line in dumped.splitlines():
        work, result = json.loads(line)
        (mutation,) = work["mutations"]
        if result is not None and result["worker_outcome"] != "skipped":
            found.append(
                {
                    "operator": mutation["operator_name"].removeprefix("core/"),
                    "line": mutation["start_pos"][0],
                    "function": mutation["definition_name"],
                    "outcome": result["test_outcome"] or result["worker_outcome"],
                }
            )
    return found


def main(argv: list[str]) -> int | str:
    """Tries the mutants and prints those that survive."""
    del argv
    unknown = sorted(set(_MODULES.value) - set(MODULES))
    if unknown:
        return f"--modules: unknown {', '.join(unknown)}; choose from {', '.join(MODULES)}."
    if shutil.which("cosmic-ray", path=str(pathlib.Path(sys.executable).parent)) is None:
        return "cosmic-ray is not installed here: pip install -r requirements-mutate.txt"
    copy = ROOT / "build" / "mutants"
    if not copy.exists():
        copy.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x"], cwd=copy, input=archive, check=True)
    survivors = 0
    for name in _MODULES.value:
        mutants = tried(name, copy)
        alive = [row for row in mutants if row["outcome"] == "survived"]
        survivors += len(alive)
        print(f"{name}: {len(mutants) - len(alive)} of {len(mutants)} mutants were noticed")
        for row in alive:
            print(f"  {row['function']}, line {row['line']}: {row['operator']}", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    app.run(main)
