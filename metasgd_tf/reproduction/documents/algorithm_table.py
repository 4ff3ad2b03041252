"""The values of `--algorithm` as Markdown: the tasks that each learns, and the flags of its own."""

from typing import Any

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.elements import table


def algorithms() -> str:
    """Returns a table of every algorithm."""
    heads = ("`--algorithm`", "learner", "tasks", "flags of its own, with their defaults")
    rows = [
        [
            f"`{name}`",
            algorithm.title,
            ", ".join(algorithm.kinds),
            ", ".join(_flag(*flag) for flag in algorithm.flags.items()),
        ]
        for name, algorithm in ALGORITHMS.items()
    ]
    return table(heads, rows)


def _flag(name: str, default: Any) -> str:
    if default is None:
        return f"`--{name}`"
    return f"`--{name}={str(default).lower() if isinstance(default, bool) else default}`"
