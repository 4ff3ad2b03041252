"""Changes the modules that matter most, one place at a time, and asks whether a test notices.

    python -m benchmarks.mutants --modules=update_rule

Works on a copy of the last commit in build/mutants, with cosmic-ray (requirements-mutate.txt).
Every mutant is tried with the tests that mirror its module, in a process that is forked from one
which has TensorFlow imported already; those that survive are listed. What is done of a commit is
kept: a run that was broken off goes on. The exit code is 1 if a mutant survives.
"""

import gc
import importlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
from absl import app, flags

from benchmarks.harness.driver import ROOT, BenchmarkError
from metasgd_tf.process_environment import prepare_process


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
        (
            "tests/metasgd_tf/images/test_classification.py",
            "tests/metasgd_tf/images/test_classification_settings.py",
        ),
    ),
}
"""By name: the rule, α, the advantages, the trust region, batch statistics, the episode sampler."""

LEFT_OUT = (
    # In annotations it means "or"; the others only make what no expression here could be.
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/ReplaceBinaryOperator_.*_(BitOr|BitAnd|BitXor|LShift|RShift|Mod|FloorDiv|Pow)",
    # What marks arguments as given by name is taken for one.
    "core/ReplaceUnaryOperator_.*",
    # The same as equal for what Python holds once, and as unequal for all else.
    "core/ReplaceComparisonOperator_.*_(Is|IsNot)",
)
"""Kinds of mutants that are not made."""

IMPORTED = ("tensorflow", "keras", "tf_agents.utils.value_ops", "hypothesis", "matplotlib.figure")
"""What takes long to import and is imported once for all mutants."""
OURS = ("metasgd_tf", "trainers", "models", "tests", "benchmarks")

_MODULES = flags.DEFINE_list("modules", list(MODULES), "Which modules.")
_SECONDS = flags.DEFINE_integer(
    "seconds", 40, "Processor time that the tests may take for a mutant; more kills it."
)


def configuration(module: Module) -> str:
    """Returns what cosmic-ray is told about a module; the tests are run by `pass_for`."""
    return "\n".join(
        [
            "[cosmic-ray]",
            f"module-path = {json.dumps([module.path])}",
            "timeout = 0.0",
            "excluded-modules = []",
            'test-command = ""',
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
      A row for each: the operator, where, and the outcome, `killed` or `survived`.

    Raises:
      BenchmarkError: if the tests fail without any change.
    """
    from cosmic_ray.work_db import WorkDB, use_db

    config, session = f"{name}.toml", f"{name}.sqlite"
    module = MODULES[name]
    (copy / config).write_text(configuration(module), encoding="utf-8")
    tool = str(pathlib.Path(sys.executable).with_name("cosmic-ray"))
    if not (copy / session).exists():
        if not pass_for(module, copy, _SECONDS.value):
            raise BenchmarkError(
                f"{' '.join(module.tests)}: fail without a mutant; mend them first"
            )
        subprocess.run([tool, "init", config, session], cwd=copy, check=True)
        subprocess.run(
            [tool.replace("cosmic-ray", "cr-filter-operators"), session, config],
            cwd=copy,
            check=True,
        )
    with use_db(str(copy / session), WorkDB.Mode.open) as work:
        for item in work.pending_work_items:
            work.set_result(item.job_id, result(item.mutations[0], module, copy))
    return rows(
        subprocess.run(
            [tool, "dump", session], cwd=copy, check=True, capture_output=True, text=True
        ).stdout
    )


def result(mutation: Any, module: Module, copy: pathlib.Path) -> Any:
    """Makes a mutant in the copy, tries it and takes it back; returns cosmic-ray's `WorkResult`."""
    from cosmic_ray import mutating, plugins, work_item

    operator = plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    with mutating.use_mutation(copy / module.path, operator, mutation.occurrence):
        survived = pass_for(module, copy, _SECONDS.value)
    return work_item.WorkResult(
        worker_outcome=work_item.WorkerOutcome.NORMAL,
        test_outcome=getattr(work_item.TestOutcome, "SURVIVED" if survived else "KILLED"),
    )


def pass_for(module: Module, copy: pathlib.Path, seconds: int) -> bool:
    """Returns whether a module's tests pass in the copy as it is, in a process of their own.

    Args:
      module: the module.
      copy: the root of a copy of the repository.
      seconds: the processor time that they may take.
    """
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] == 0
    code = 1
    try:  # Whatever happens, the child must not go on with what its parent does.
        code = _test(module, copy, seconds)
    finally:
        os._exit(code)


def _test(module: Module, copy: pathlib.Path, seconds: int) -> int:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # By processor time: a busy machine kills no mutant.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    for imported in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[imported]
    os.chdir(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
    # A mutant may be written within a second of the one before, and be as long.
    sys.dont_write_bytecode = True
    chosen = ["-x", "-p", "no:cacheprovider", "-m", "not slow", *module.tests]
    return int(pytest.main(chosen))


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
    prepare_process()
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    copy = ROOT / "build" / "mutants" / commit
    if not copy.exists():
        copy.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x"], cwd=copy, input=archive, check=True)
    survivors = 0
    for name in _MODULES.value:
        try:
            mutants = tried(name, copy)
        except BenchmarkError as error:
            return str(error)
        alive = [row for row in mutants if row["outcome"] == "survived"]
        survivors += len(alive)
        print(f"{name}: {len(mutants) - len(alive)} of {len(mutants)} mutants were noticed")
        for row in alive:
            print(f"  {row['function']}, line {row['line']}: {row['operator']}", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    app.run(main)
