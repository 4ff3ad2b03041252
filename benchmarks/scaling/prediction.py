"""The table of what many devices should reach."""

import json
import pathlib
from typing import Any

from benchmarks.scaling import cost

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
