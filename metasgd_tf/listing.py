"""Lists inside a sentence, kept short however much there is to name."""

from collections.abc import Sequence

NAMED = 10


def listed(items: Sequence[str]) -> str:
    """Returns the first ten items and how many others there are: `a, b, … and 3 others`."""
    text = ", ".join(items[:NAMED])
    rest = len(items) - NAMED
    if rest <= 0:
        return text
    return f"{text} and {rest:,} other{'s' if rest > 1 else ''}"
