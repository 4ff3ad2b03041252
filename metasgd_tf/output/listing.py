"""Lists and numbers of things inside a sentence."""

from collections.abc import Sequence

from metasgd_tf.output.shown_names import shown

NAMED = 10


def listed(items: Sequence[str]) -> str:
    """Returns the first ten items and how many others there are: `a, b, … and 3 others`.

    Items may be names of files, whatever characters these have.
    """
    text = ", ".join(map(shown, items[:NAMED]))
    rest = len(items) - NAMED
    if rest <= 0:
        return text
    return f"{text} and {counted(rest, 'other')}"


def counted(number: int, thing: str, plural: str | None = None) -> str:
    """Returns a number of things: `1 class`, `1,100 classes`."""
    return f"{number:,} {thing if number == 1 else plural or thing + 's'}"
