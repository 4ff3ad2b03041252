"""Trains and evaluates a table of the paper: `python -m metasgd_tf.reproduce --table=1`.

Prints the paper's cell beside ours, with the paired difference Meta-SGD − MAML on identical tasks,
and writes the same as JSON and Markdown. What is trained already is not trained again, and what was
interrupted goes on. With --cells=5way1shot,20way5shot only these cells of table 2 (Omniglot) or 3
(MiniImagenet) are done; the others stay in the files as they are. So do the starts of table 4, 2D
navigation, whose cells are fixed and varying; its learners are trained by three seeds each.
"""

from typing import Any

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.reproduction import published

TABLE = flags.DEFINE_enum(
    "table", None, ["1", "2", "3", "4"], "Which table of the paper.", required=True
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the runs and the table go; by default runs/table<number>."
)
CELLS = flags.DEFINE_list(
    "cells",
    None,
    f"Tables 2 and 3: which of {','.join(published.CELLS)} to do; table 4: which of "
    f"{','.join(published.STARTS)}; by default all.",
)


@flags.multi_flags_validator(["table", "cells"])
def _cells_are_the_tables(values: dict[str, Any]) -> bool:
    if values["cells"] is None:
        return True
    if values["table"] == "1":
        raise flags.ValidationError("table 1 has no such cells; leave --cells out")
    cells = _cells(values["table"])
    if not values["cells"] or not set(values["cells"]) <= set(cells):
        raise flags.ValidationError(f"--cells should name some of {','.join(cells)}")
    return True


def _cells(table: str) -> list[str]:
    return list(published.STARTS if table == "4" else published.CELLS)


def main() -> None:
    """Trains, evaluates and prints."""
    from metasgd_tf.reproduction import classification, markdown, navigation, sinusoid
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    number = int(TABLE.value)
    output_dir = OUTPUT_DIR.value or f"runs/table{number}"
    chosen = [cell for cell in _cells(TABLE.value) if CELLS.value is None or cell in CELLS.value]
    if number == 1:
        text = markdown.sinusoid(sinusoid.reproduce(output_dir))
    elif number == 4:
        text = markdown.navigation(navigation.reproduce(output_dir, chosen))
    else:
        text = markdown.classification(classification.reproduce(number, output_dir, chosen))
    print(text, end="")
    print(f"\nwritten to {output_dir}/table{number}.json and .md")


if __name__ == "__main__":
    command_line.run(main)
