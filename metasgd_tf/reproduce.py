"""Trains and evaluates a table of the paper: `python -m metasgd_tf.reproduce --table=1`.

Prints the paper's cell beside ours, with the paired difference Meta-SGD − MAML on identical tasks,
and writes the same as JSON and Markdown. What is trained already is not trained again, and what was
interrupted goes on. With --cells=5way1shot,20way5shot only these cells of table 2 (Omniglot) or 3
(MiniImagenet) are done; the others stay in the files as they are.
"""

from typing import Any

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.reproduction import published

TABLE = flags.DEFINE_enum(
    "table", None, ["1", "2", "3"], "Which table of the paper.", required=True
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the runs and the table go; by default runs/table<number>."
)
CELLS = flags.DEFINE_list(
    "cells", None, f"Tables 2 and 3: which of {','.join(published.CELLS)} to do; by default all."
)


@flags.multi_flags_validator(["table", "cells"])
def _cells_are_the_tables(values: dict[str, Any]) -> bool:
    if values["cells"] is None:
        return True
    if values["table"] == "1":
        raise flags.ValidationError("table 1 has no such cells; leave --cells out")
    if not values["cells"] or not set(values["cells"]) <= set(published.CELLS):
        raise flags.ValidationError(f"--cells should name some of {','.join(published.CELLS)}")
    return True


def main() -> None:
    """Trains, evaluates and prints."""
    from metasgd_tf.reproduction import classification, markdown, sinusoid
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    number = int(TABLE.value)
    output_dir = OUTPUT_DIR.value or f"runs/table{number}"
    if number == 1:
        text = markdown.sinusoid(sinusoid.reproduce(output_dir))
    else:
        chosen = [cell for cell in published.CELLS if CELLS.value is None or cell in CELLS.value]
        text = markdown.classification(classification.reproduce(number, output_dir, chosen))
    print(text, end="")
    print(f"\nwritten to {output_dir}/table{number}.json and .md")


if __name__ == "__main__":
    command_line.run(main)
