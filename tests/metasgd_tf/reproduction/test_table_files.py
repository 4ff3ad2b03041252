"""The files of a table, which several commands fill at once."""

import json
import math
import threading

import pytest

from metasgd_tf.reproduction.table_files import TableFile
from trainers.errors import InputError


def table_file(folder):
    return TableFile(
        folder / "table9.json", {"table": 9}, "cells", ("a", "b"), lambda table: f"{table}\n"
    )


def test_parts_of_others_are_kept_and_all_are_in_order(tmp_path):
    first, second = table_file(tmp_path), table_file(tmp_path)
    assert first.read() == second.read() == {"table": 9, "cells": {}}
    for file, name in ((second, "b"), (first, "a")):
        with file.changed() as table:
            table["cells"][name] = f"made {name}"
    assert table == {"table": 9, "cells": {"a": "made a", "b": "made b"}}
    assert list(table["cells"]) == ["a", "b"]
    assert json.loads((tmp_path / "table9.json").read_text(encoding="utf-8")) == table
    assert (tmp_path / "table9.md").read_text(encoding="utf-8") == f"{table}\n"


def test_numbers_that_are_not_finite_are_null(tmp_path):
    with table_file(tmp_path).changed() as table:
        table["cells"]["a"] = [{"mean": math.nan, "ci95": math.inf, "num_tasks": 2}]
    assert table["cells"] == {"a": [{"mean": None, "ci95": None, "num_tasks": 2}]}
    assert (tmp_path / "table9.md").read_text(encoding="utf-8") == f"{table}\n"
    text = (tmp_path / "table9.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text


def test_whoever_changes_a_table_waits_for_another_one(tmp_path):
    def add_b():
        with table_file(tmp_path).changed() as table:
            table["cells"]["b"] = 2

    other = threading.Thread(target=add_b)
    with table_file(tmp_path).changed() as table:
        other.start()
        other.join(0.2)
        assert other.is_alive()
        table["cells"]["a"] = 1
    other.join(60)
    assert table_file(tmp_path).read()["cells"] == {"a": 1, "b": 2}


def test_a_file_that_has_become_another_is_left_alone(tmp_path):
    (tmp_path / "table9.json").write_text('{"table": 8, "cells": {}}', encoding="utf-8")
    said = r"its table9\.json is not a table 9 that"
    with pytest.raises(InputError, match=said), table_file(tmp_path).changed():
        raise AssertionError
    assert not (tmp_path / "table9.md").exists()
