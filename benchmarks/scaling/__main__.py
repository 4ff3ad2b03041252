"""Says what share of the time many devices would compute, and times processes on this machine.

    python -m benchmarks.scaling --json=scaling.json
    python -m benchmarks.scaling --processes=1,2,4 --json=scaling_here.json

The first is a prediction for H100s, whose seconds of compute are the roofline's of
docs/results/program.json; nothing of it was measured. The second shares the cores of one machine
among processes, so that it shows what sharing costs and no speed-up.
"""

import json
import pathlib
from typing import Any

from absl import app, flags

from benchmarks.harness import cases
from benchmarks.scaling.prediction import predicted
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "File to write the table to.")
_PROCESSES = flags.DEFINE_list("processes", None, "Numbers of processes to time instead.")
_CASE = flags.DEFINE_enum("case", "omniglot", list(cases.CASES), "What they train.")
_ITERATIONS = flags.DEFINE_integer("iterations", 10, "Meta-iterations to time.", lower_bound=1)


def measured(case: cases.Case, counts: list[int], iterations: int) -> dict[str, Any]:
    """Returns the table of times on this machine."""
    from benchmarks.scaling.processes import ms_an_iteration

    times = [ms_an_iteration(case, count, iterations) for count in counts]
    rows = [
        [str(count), str(case.tasks // count), f"{ms:.0f}", f"{ms / times[0]:.2f} ×"]
        for count, ms in zip(counts, times, strict=True)
    ]
    heads = ["processes", "tasks of each", "ms an iteration", "of the first row's"]
    return {"columns": heads, "rows": rows}


def main(argv: list[str]) -> None:
    """Prints the table, and writes it with where it is from."""
    del argv
    prepare_process()
    from metasgd_tf.output.provenance import provenance
    from metasgd_tf.reproduction.documents.measurements import recorded

    if _PROCESSES.value:
        counts = [int(count) for count in _PROCESSES.value]
        table = measured(cases.CASES[_CASE.value], counts, _ITERATIONS.value)
    else:
        table = predicted()
    print(recorded(table), end="")
    if _JSON.value:
        text = json.dumps({**table, **provenance()}, indent=1, ensure_ascii=False) + "\n"
        pathlib.Path(_JSON.value).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
