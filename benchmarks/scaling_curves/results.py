"""The file of the results: what came of each point."""

import json
import pathlib
from typing import Any

from benchmarks.scaling_curves.measure import Measured
from benchmarks.scaling_curves.points import NAMES, Point

HEADS = ("tasks a second", "peak in GB", "of it before the images")


def read(file: pathlib.Path) -> dict[Point, Measured | str]:
    """Returns what came of the points in a file of results; nothing if there is none."""
    if not file.exists():
        return {}
    count = len(NAMES)
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {
        Point(*row[:count]): row[count] if row[-1] is None else Measured(*row[count:])
        for row in rows
    }


def record(found: dict[Point, Measured | str]) -> dict[str, Any]:
    """Returns the table of what came of the points."""
    rows = [
        [*point, *((came, None, None) if isinstance(came, str) else came)]
        for point, came in found.items()
    ]
    return {"columns": [*NAMES.values(), *HEADS], "rows": rows}


def rounded(came: Measured | str) -> Measured | str:
    """Returns numbers as they are published."""
    if isinstance(came, str):
        return came
    speed = float(f"{came.tasks_a_second:.3g}")
    return Measured(speed, round(came.peak_gb, 2), round(came.before_gb, 2))
