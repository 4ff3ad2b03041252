"""What came of faults, as Markdown."""

from typing import Any

from metasgd_tf.reproduction.elements import table


def faults(measured: dict[str, Any]) -> str:
    """Returns what was done, how often, how often what is promised came of it, and what did.

    Args:
      measured: what `benchmarks.faults --json` writes. Rows of several seeds are added up.
    """
    merged: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in measured["rows"]:
        merged.setdefault((row["fault"], row["command"]), []).append(row)
    heads = ("fault", "command", "times", "as promised", "what came of it")
    rows = [
        [
            fault,
            f"`{command}`",
            f"{sum(row['times'] for row in same)}",
            f"{sum(row['as_promised'] for row in same)}",
            "; ".join(row["found"].replace("|", "\\|") for row in same),
        ]
        for (fault, command), same in merged.items()
    ]
    return table(heads, rows)
