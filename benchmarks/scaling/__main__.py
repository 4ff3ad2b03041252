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

from benchmarks import cases
from benchmarks.scaling import cost
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "File to write the table to.")
_PROCESSES = flags.DEFINE_list("processes", None, "Numbers of processes to time instead.")
_CASE = flags.DEFINE_enum("case", "omniglot", list(cases.CASES), "What they train.")
_ITERATIONS = flags.DEFINE_integer("iterations", 10, "Meta-iterations to time.", lower_bound=1)

DEVICES = (2, 8, 64, 512)
GIGABITS = (10, 100)
ROOFLINE = pathlib.Path(__file__).parents[2] / "docs" / "results" / "program.json"
_MILLISECONDS = "roofline, H100: ms"


def shapes() -> list[cost.Shape]:
    """Returns what one device does, for each shape of the prediction."""
    from models.conv4 import conv4, conv4_pooled_32
    from models.resnet12 import resnet12

    table = json.loads(ROOFLINE.read_text(encoding="utf-8"))
    place = table["columns"].index(_MILLISECONDS)
    seconds = {row[0]: float(row[place]) / 1e3 for row in table["rows"]}
    networks = {
        "Omniglot 5-way 1-shot, 32 tasks": conv4((28, 28, 1), 5, 0),
        "MiniImagenet's size, 5-way 1-shot, 4 tasks, 15 queries": conv4_pooled_32(
            (84, 84, 3), 5, 0
        ),
        "ResNet-12, 5-way 1-shot, 2 tasks, 15 queries": resnet12((84, 84, 3), 5, 0),
    }
    return [
        cost.Shape(name, 2 * _weights(network), seconds[name]) for name, network in networks.items()
    ]


def _weights(network: Any) -> int:
    return sum(int(weight.value.shape.num_elements()) for weight in network.trainable_variables)


def predicted() -> dict[str, Any]:
    """Returns the table of efficiencies."""
    rows = [
        [
            shape.name,
            f"{shape.bytes / 1e6:.1f}",
            f"{1e3 * shape.seconds:.1f}",
            str(gigabits),
            *(f"{100 * cost.efficiency(shape, n, 1e9 * gigabits):.0f} %" for n in DEVICES),
        ]
        for shape in shapes()
        for gigabits in GIGABITS
    ]
    heads = ("each device's tasks", "MB of meta-gradient", "ms of compute", "Gbit/s")
    return {"columns": [*heads, *(f"{n} devices" for n in DEVICES)], "rows": rows}


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
    from metasgd_tf.reproduction.measurements import recorded

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
