"""What is changed, and what is read of what came of it."""

import json
import tomllib

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
