"""Tables as text for a terminal."""

from collections.abc import Sequence

from metasgd_tf.output.shown_names import shown


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells as lines of text with right-aligned columns.

    Cells may be names of files, whatever characters these have.
    """
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
