"""Trains and evaluates a table of the paper: `python -m metasgd_tf.reproduce --table=1`.

Prints the paper's cell beside ours, with the paired difference Meta-SGD − MAML on identical tasks,
and writes the same as JSON and Markdown. What is trained already is not trained again.
"""

from absl import flags

from metasgd_tf import command_line

TABLE = flags.DEFINE_enum("table", None, ["1"], "Which table of the paper.", required=True)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the runs and the table go; by default runs/table<number>."
)


def main() -> None:
    """Trains, evaluates and prints."""
    from metasgd_tf.reproduction import markdown, reproduce_table_1
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    output_dir = OUTPUT_DIR.value or f"runs/table{TABLE.value}"
    print(markdown(reproduce_table_1(output_dir)), end="")
    print(f"\nwritten to {output_dir}/table{TABLE.value}.json and .md")


if __name__ == "__main__":
    command_line.run(main)
