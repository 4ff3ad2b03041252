"""The notebook's code cells, run one after the other as Jupyter would, without Jupyter."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOK = json.loads((ROOT / "examples" / "meta_sgd.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def shown(cell):
    """Returns what a cell has printed when its outputs were kept."""
    return "".join("".join(one.get("text", [])) for one in cell["outputs"])


def test_ten_cells_ran_in_their_order_and_none_failed():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, 11))
    kinds = {one["output_type"] for cell in CODE for one in cell["outputs"]}
    assert kinds == {"stream", "display_data"}
    assert "Traceback" not in "".join(map(shown, CODE))


def scores(printed):
    """Returns the mean squared error after one step, by learner."""
    return {name: float(mean) for name, mean in re.findall(r"(\S+) +after +([\d.]+) ±", printed)}


@pytest.mark.slow
def test_the_cells_run_and_find_what_the_notebook_shows(tmp_path):
    program = tmp_path / "notebook.py"
    program.write_text("\n\n".join("".join(cell["source"]) for cell in CODE), encoding="utf-8")
    # XLA is to optimise, as for a reader, which it does not for other tests.
    usual = {key: value for key, value in os.environ.items() if not key.endswith("XLA_FLAGS")}
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**usual, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = "".join(map(shown, CODE))
    # Up to training, the numbers are those of NumPy; training rounds as the processor does.
    assert done.stdout.split("MetaTrainer")[0] == kept.split("MetaTrainer")[0]
    after = scores(done.stdout)
    assert after == pytest.approx(scores(kept), rel=0.2)
    assert after["Meta-SGD"] < after["MAML"] < 1.5
