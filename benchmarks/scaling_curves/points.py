"""What is measured: one point that all curves share, and points that differ from it in one size."""

from typing import NamedTuple

SHOTS, QUERIES = 1, 5


class Point(NamedTuple):
    """The sizes of a training of Omniglot's network.

    Attributes:
      tasks: meta-batch.
      ways: classes of a task.
      steps: inner steps.
      filters: of each convolution.
      classes: classes whose images are held, rotations and mirror images among them.
    """

    tasks: int = 8
    ways: int = 5
    steps: int = 1
    filters: int = 64
    classes: int = 4400


NAMES = {
    "tasks": "meta-batch",
    "ways": "ways",
    "steps": "inner steps",
    "filters": "filters",
    "classes": "classes held",
}
"""How tables and figures call the sizes, in the order of `Point`."""

VALUES = {
    "tasks": (1, 8, 32, 256),
    "ways": (5, 20, 50, 100, 423),
    "steps": (1, 3, 5, 10),
    "filters": (16, 64, 128, 256),
    "classes": (110, 1100, 4400, 8800),
}
"""The values of each curve; with 8,800 classes those held have mirror images too."""


def curve(size: str) -> list[Point]:
    """Returns the points of a curve, one of `NAMES`, in order."""
    return [Point()._replace(**{size: value}) for value in VALUES[size]]


def points() -> list[Point]:
    """Returns the points of all curves, the shared one first and none twice."""
    return list(dict.fromkeys([Point(), *(point for size in NAMES for point in curve(size))]))
