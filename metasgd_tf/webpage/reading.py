"""Reads what the page sends: every number is checked before anything computes with it."""

from collections.abc import Callable
from typing import Any, TypeVar

Part = TypeVar("Part")
Point = tuple[float, float]
Stroke = tuple[Point, ...]
Drawing = tuple[Stroke, ...]

MOST_DRAWINGS = 20
"""Of one class."""
MOST_STROKES = 200
"""Of one drawing."""
MOST_POINTS = 2000
"""Of one stroke."""


class RequestError(ValueError):
    """A request that the page would not have sent; its message is one sentence."""


def field(request: Any, name: str) -> Any:
    """Returns a field of a request.

    Raises:
      RequestError: if the request has none of this name.
    """
    if not isinstance(request, dict) or name not in request:
        raise RequestError(f"the request should be an object with a field {name!r}")
    return request[name]


def each(value: Any, name: str, most: int, read: Callable[[Any, str], Part]) -> tuple[Part, ...]:
    """Reads every part of a list.

    Args:
      value: what should be the list.
      name: what the message calls it.
      most: how many parts it may have.
      read: reads a part of this name.

    Raises:
      RequestError: if it is no list, or too long, or as `read` does.
    """
    if not isinstance(value, list) or len(value) > most:
        raise RequestError(f"{name}: should be a list of at most {most}")
    return tuple(read(part, f"{name}[{number}]") for number, part in enumerate(value))


def number(value: Any, name: str, low: float, high: float) -> float:
    """Reads a number in [low, high].

    Raises:
      RequestError: if it is none.
    """
    # True and False are ints too. NaN, which JSON as Python reads it may hold, is in no range.
    if type(value) not in (int, float) or not low <= value <= high:
        raise RequestError(f"{name}: should be a number from {low:g} to {high:g}")
    return float(value)


def seed(request: Any) -> int:
    """Reads the field `seed` of a request, a whole number.

    Raises:
      RequestError: if there is none.
    """
    value = number(field(request, "seed"), "seed", 0, 2**31 - 1)
    if not value.is_integer():
        raise RequestError("seed: should be a whole number")
    return int(value)


def point(value: Any, name: str, x_range: Point = (0, 1), y_range: Point = (0, 1)) -> Point:
    """Reads a point, by default of the unit square.

    Raises:
      RequestError: if it is no pair of numbers in these ranges.
    """
    if not isinstance(value, list) or len(value) != 2:
        raise RequestError(f"{name}: should be two numbers")
    return number(value[0], f"{name}[0]", *x_range), number(value[1], f"{name}[1]", *y_range)


def drawing(value: Any, name: str) -> Drawing:
    """Reads a drawing, a list of strokes, each a list of points; empty strokes are left out.

    Raises:
      RequestError: if it is none.
    """
    strokes = each(value, name, MOST_STROKES, lambda v, n: each(v, n, MOST_POINTS, point))
    return tuple(stroke for stroke in strokes if stroke)
