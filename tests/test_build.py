"""BUILD, the requirement files and the layers against what the modules import."""

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

import pytest

from tests.build_file import Target, read_targets

# Resolved, since under Bazel this file is a link into the checkout.
ROOT = pathlib.Path(__file__).resolve().parents[1]

# The packages, and which of them each may import besides itself.
LAYERS = {
    "models": set[str](),
    "trainers": {"models"},
    "metasgd_tf": {"models", "trainers"},
    "benchmarks": {"models", "trainers", "metasgd_tf"},
    # Tasks of one's own build on them; clients of an export need none.
    "examples": {"models", "trainers", "metasgd_tf"},
    "tests": {"models", "trainers", "metasgd_tf", "benchmarks", "examples"},
}

# Which files may name the distributions that each package imports; the last is where to add one.
_RUN = ("requirements-no-deps.txt", "requirements.txt")
_MUTATE = ("requirements-dev.txt", "requirements-mutate.txt")
REQUIREMENTS = {
    "models": _RUN,
    "trainers": _RUN,
    "metasgd_tf": ("requirements-demo.txt", *_RUN),
    "benchmarks": (*_RUN, *_MUTATE, "benchmarks/requirements.txt"),
    "examples": (*_RUN, "examples/requirements.txt"),
    "tests": (*_RUN, "requirements-demo.txt", "requirements-dev.txt"),
}

# Distributions that are not called by the name that is imported.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "google": "protobuf",
    "grpc": "grpcio",
    "PIL": "pillow",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "pyyaml",
}

# What these use without asking for it.
BESIDE = {
    "tensorflow.summary": "tensorboard",
    "tensorflow_datasets": "importlib-resources",
    "tensorflow_datasets.testing": "dill",
    "tf_agents": "tf-keras",
}

# What every test is run with.
TEST_DEPS = {":test_support", "@pip//pytest"}


def read_requirements(name: str) -> set[str]:
    """Returns the normalised names of the distributions that a requirement file lists."""
    names = set()
    for line in (ROOT / name).read_text().splitlines():
        match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if match:
            names.add(re.sub(r"[-_.]+", "-", match[0]).lower())
    return names


def find_modules() -> dict[str, str]:
    """Returns the file of each module, by the name under which it is imported."""
    modules = {}
    for package in LAYERS:
        for path in sorted((ROOT / package).rglob("*.py")):
            file = path.relative_to(ROOT)
            parts = file.with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.as_posix()
    return modules


MODULES = find_modules()
TARGETS = read_targets((ROOT / "BUILD").read_text())


def imported_names(source: str) -> Iterator[str]:
    """Yields the dotted names that a module imports, `a.b.c` for `from a.b import c`.

    A string that is the name of one of our modules counts: it goes to importlib or to `python -m`.
    So does the start of an f-string, for every module that it may become.
    """
    aliases = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                aliases[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the import with its full name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            package, dot, name = node.value.rpartition(".")
            if dot and node.value in MODULES:
                yield node.value
            elif package in MODULES and not name:
                yield from (module for module in MODULES if module.rpartition(".")[0] == package)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{aliases.get(node.value.id)}.{node.attr}"
            if name in BESIDE:
                yield name


def uses(module: str, source: str) -> tuple[set[str], set[str]]:
    """Returns which of our modules and which distributions a module imports.

    Importing `a.b` imports `a` too; so does being `a.b`.
    """
    ours, distributions = set[str](), set[str]()
    for name in {module, *imported_names(source)}:
        parts = name.split(".")
        prefixes = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if parts[0] in LAYERS:
            ours |= set(prefixes) & MODULES.keys()
        elif parts[0] not in sys.stdlib_module_names:
            distributions.add(DISTRIBUTIONS.get(parts[0], parts[0].replace("_", "-")))
            distributions |= {BESIDE[prefix] for prefix in prefixes if prefix in BESIDE}
    return ours - {module}, distributions


USES = {module: uses(module, (ROOT / file).read_text()) for module, file in MODULES.items()}


def owners() -> dict[str, list[Target]]:
    """Returns the targets that hold each file."""
    found: dict[str, list[Target]] = {}
    for target in TARGETS:
        for file in target.srcs:
            found.setdefault(file, []).append(target)
    return found


def report(problems: list[str]) -> None:
    """Fails with the problems alone, if there are any."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_every_module_is_a_source_of_one_target():
    holding = owners()
    problems = [
        f"{file}: write it into the srcs of a target of BUILD"
        for file in MODULES.values()
        if file not in holding
    ]
    problems += [
        f"{file}: leave it in one of {', '.join(target.name for target in targets)} in BUILD"
        for file, targets in holding.items()
        if len(targets) > 1
    ]
    problems += [
        f"{file}: there is no such module; remove it from {targets[0].name} in BUILD"
        for file, targets in holding.items()
        if file not in MODULES.values()
    ]
    report(problems)


def test_target_names_differ():
    names = [target.name for target in TARGETS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_deps_are_what_the_sources_import(target):
    holding = owners()
    needed = {}
    for module, file in MODULES.items():
        if file in target.srcs:
            ours, distributions = USES[module]
            for other in ours:
                for owner in holding.get(MODULES[other], []):
                    needed[f":{owner.name}"] = f"{file} imports {other}"
            for distribution in distributions:
                needed[f"@pip//{distribution.replace('-', '_')}"] = f"{file} needs {distribution}"
    if target.rule == "py_test":
        needed |= dict.fromkeys(TEST_DEPS, "every test does")
    needed.pop(f":{target.name}", None)
    problems = [
        f'BUILD: write "{label}" into the deps of {target.name}: {needed[label]}'
        for label in sorted(needed.keys() - target.deps)
    ]
    problems += [
        f'BUILD: remove "{label}" from the deps of {target.name}: no source of it imports that'
        for label in sorted(target.deps - needed.keys())
    ]
    report(problems)


def test_every_test_and_command_is_a_target_of_its_kind():
    holding = owners()
    problems = []
    for file in MODULES.values():
        if re.search(r"^tests/(.*/)?test_\w+\.py$", file):
            rule = "py_test"
        elif re.search(r"^if __name__ == ", (ROOT / file).read_text(), re.MULTILINE):
            rule = "py_binary"
        else:
            rule = "py_library"
        problems += [
            f"{file}: make it a {rule} in BUILD, not the {target.rule} {target.name}"
            for target in holding.get(file, [])
            if target.rule != rule
        ]
    report(problems)


def test_no_module_imports_upwards():
    problems = []
    for module, (ours, _) in USES.items():
        package = module.split(".")[0]
        problems += [
            f"{MODULES[module]}: {package} may not import {other}; move what it needs down"
            for other in sorted(ours)
            if other.split(".")[0] not in LAYERS[package] | {package}
        ]
    report(problems)


def test_every_distribution_imported_is_required():
    listed = {name: read_requirements(name) for name in set().union(*REQUIREMENTS.values())}
    problems = []
    for module, (_, distributions) in USES.items():
        files = REQUIREMENTS[module.split(".")[0]]
        known = set().union(*(listed[name] for name in files))
        problems += [
            f"{MODULES[module]}: write {distribution} into {files[-1]}"
            for distribution in sorted(distributions - known)
        ]
    report(problems)


def test_imports_are_found_wherever_they_stand(monkeypatch):
    # In one string, so that none of them is taken for an import of this module.
    expected = "models models.mlp trainers trainers.errors metasgd_tf metasgd_tf.run metasgd_tf.t"
    expected = {*expected.split(), "metasgd_tf.t.one", "metasgd_tf.t.two"}
    others = {"tests", "trainers.other", "metasgd_tf.t.one.more"}
    monkeypatch.setattr("tests.test_build.MODULES", dict.fromkeys(expected | others, ""))
    source = """
import tensorflow as tf
from typing import TYPE_CHECKING
from absl import flags
from trainers import errors, MetaLearner
if TYPE_CHECKING:
    import models.mlp
def late():
    import PIL.Image
    importlib.import_module(f"metasgd_tf.t.{name}")
    run([sys.executable, "-m", "metasgd_tf.run", "models"])
    tf.summary.scalar("loss", 0.0)
"""
    ours, distributions = uses("tests", source)
    assert ours == expected
    assert distributions == {"tensorflow", "absl-py", "pillow", "tensorboard"}
