"""What is changed, and what is read of what came of it."""

import json
import sys
import tomllib

import pytest

import trainers.seeds
from benchmarks import mutants
from tests.metasgd_tf.shell import ROOT


def test_the_modules_and_their_tests_are_there():
    for module in mutants.MODULES.values():
        for file in (module.path, *module.tests):
            assert (ROOT / file).is_file(), file


def test_the_configuration_names_the_module_and_what_is_left_out():
    held = tomllib.loads(mutants.configuration(mutants.MODULES["alpha"]))["cosmic-ray"]
    assert held["module-path"] == ["trainers/learners/alpha.py"]
    assert held["filters"]["operators-filter"]["exclude-operators"] == list(mutants.LEFT_OUT)


def line(outcome, worker="normal"):
    place = {"operator_name": "core/AddNot", "start_pos": [7, 3], "definition_name": "adapt"}
    result = {"worker_outcome": worker, "test_outcome": outcome}
    return json.dumps([{"mutations": [place]}, result])


def test_mutants_that_were_not_made_are_left_out():
    waiting = json.dumps([json.loads(line("killed"))[0], None])
    dumped = "\n".join([line("killed"), line("survived"), line(None, "skipped"), waiting])
    row = {"operator": "AddNot", "line": 7, "function": "adapt"}
    assert mutants.rows(dumped) == [row | {"outcome": "killed"}, row | {"outcome": "survived"}]


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("assert trainers.seeds.HERE", True),
        ("assert not trainers.seeds.HERE", False),
        ("assert 'metasgd_tf' not in sys.modules", True),
        ("while True: pass", False),
    ],
)
def test_a_copys_own_modules_are_tested_in_a_process_of_their_own(tmp_path, body, passes):
    """Though this process has imported others of these names; a test without end is broken off."""
    assert "trainers.seeds" in sys.modules
    files = {
        "trainers/__init__.py": "",
        "trainers/seeds.py": "HERE = True\n",
        "tests/test_seeds.py": f"import sys\nimport trainers.seeds\ndef test_it():\n    {body}\n",
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    module = mutants.Module("trainers/seeds.py", ("tests/test_seeds.py",))
    assert mutants.pass_for(module, tmp_path, seconds=20 if passes else 3) == passes
    assert not hasattr(trainers.seeds, "HERE")
