"""Parts of the Markdown tables: cells, rows, and the provenance of their numbers."""

from collections.abc import Sequence
from typing import Any

MISSING = "–"

_PRODUCTS = {
    "python": "Python",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "torch": "PyTorch",
    "jax": "JAX",
}
"""Packages whose versions are shown, with the names to show; files of results have more."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table; every row has as many cells as there are heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def interval(mean: float | None, ci95: float | None, sign: str = "") -> str:
    """Returns a mean with its 95 % confidence interval; `sign="+"` is for differences.

    What is None, as it was not finite, is a dash.
    """
    return MISSING if mean is None else f"{rounded(mean, sign)} ± {rounded(ci95)}"


def rounded(value: float | None, sign: str = "") -> str:
    """Returns a number, or a dash for None; `sign="+"` is for differences."""
    return MISSING if value is None else f"{value:{sign}.2f}"


def as_printed(mean: float | None, ci95: float | None) -> str:
    """Returns a published accuracy with as many digits as it was published with."""
    numbers = [number for number in (mean, ci95) if number is not None]
    digits = max((len(f"{number}".partition(".")[2]) for number in numbers), default=0)
    return " ± ".join(f"{number:.{digits}f}" for number in numbers) or MISSING


def commit(origin: dict[str, Any]) -> str:
    """Returns the commit in a file's provenance, shortened as git does."""
    held = origin["commit"]
    if held is None:
        return MISSING
    number, _, changes = held.partition("+")
    return f"`{number[:7]}`{' and changes' if changes else ''}"


def machine(origin: dict[str, Any]) -> str:
    """Returns the machine in a file's provenance."""
    held = origin["machine"]
    return f"{held['processor']}, {held['cores']} core{'s' * (held['cores'] != 1)}"


def versions(origin: dict[str, Any]) -> str:
    """Returns the versions in a file's provenance."""
    held = origin["versions"]
    return ", ".join(f"{word} {held[name]}" for name, word in _PRODUCTS.items() if name in held)


def source(origin: dict[str, Any], link: str) -> str:
    """Returns a line that says where the numbers of a file come from.

    Args:
      origin: the contents of the file, with the keys of `metasgd_tf.output.provenance`, or written
        by hand as `metasgd_tf.reproduction.documents.measurements.recorded` describes.
      link: a Markdown link to the file.
    """
    parts = [origin["note"].rstrip(".")] if "note" in origin else []
    if "command" in origin:
        held = origin["command"]
        parts.append(f"`{held}`" if held.startswith("python -m") else held)
    if "commit" in origin:
        parts.append(f"commit {commit(origin)}")
    if "reported_in" in origin:
        parts.append(f"first reported with commit {origin['reported_in']}")
    if isinstance(origin.get("machine"), dict):
        parts.append(machine(origin))
    elif origin.get("machine"):
        parts.append(origin["machine"])
    if "versions" in origin:
        parts.append(versions(origin))
    text = "; ".join([*parts, link])
    return f"*{text[0].upper()}{text[1:]}.*\n"
