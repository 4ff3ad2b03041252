"""Trains and evaluates a table of the paper: `python -m metasgd_tf.reproduce --table=1`.

Prints the paper's cell beside ours, with the paired difference Meta-SGD − MAML on identical tasks,
and writes the same as JSON and Markdown. Finished runs are not trained again, and interrupted ones
are resumed. With --cells=5way1shot,20way5shot only these cells of table 2 (Omniglot) or 3
(MiniImagenet) are run; the others in the files are kept. The cells of table 4 (2D navigation) are
fixed and varying, the kinds of start; its learners are trained with three seeds each.

With --algorithms=meta_sgd,prototypical_nets or --algorithms=all tables 1 to 3 are a comparison of
these algorithms instead, each by its flagfile; it has files of its own, table<number>_systems.
Table 1 then has cells too, by what is trained on: 5shot, 10shot and 20shot.

`python -m metasgd_tf.reproduce --write_docs` trains nothing: in a checkout, it rewrites the tables
in README.md and docs/ from the files of docs/results.
"""

from typing import Any

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.reproduction import published
from metasgd_tf.reproduction.systems import compared

TABLE = flags.DEFINE_enum("table", None, ["1", "2", "3", "4"], "Which table of the paper.")
WRITE_DOCS = flags.DEFINE_bool(
    "write_docs", False, "Write the tables in README.md and docs/ from docs/results instead."
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the runs and the table go; by default runs/table<number>."
)
CELLS = flags.DEFINE_list(
    "cells",
    None,
    f"Table 1 with --algorithms: which of {','.join(compared.cells(1))} to run; tables 2 and 3: "
    f"which of {','.join(published.CELLS)}; table 4: which of {','.join(published.STARTS)}; by "
    "default all.",
)
ALGORITHMS = flags.DEFINE_list(
    "algorithms",
    None,
    "Tables 1 to 3: values of --algorithm to compare, or all, which is every one that has a "
    "flagfile for a cell; by default the paper's own table is reproduced.",
)


@flags.multi_flags_validator(["table", "write_docs", "cells", "output_dir", "algorithms"])
def _one_thing_is_asked_for(values: dict[str, Any]) -> bool:
    if (values["table"] is not None) == values["write_docs"]:
        raise flags.ValidationError("name exactly one of --table=1, 2, 3 or 4 and --write_docs")
    others = ("cells", "output_dir", "algorithms")
    if values["write_docs"] and any(values[name] is not None for name in others):
        raise flags.ValidationError(
            "--write_docs takes neither --cells nor --output_dir nor --algorithms"
        )
    return True


@flags.multi_flags_validator(["table", "cells", "algorithms"])
def _cells_are_the_tables(values: dict[str, Any]) -> bool:
    if values["cells"] is None or values["table"] is None:
        return True
    if values["table"] == "1" and values["algorithms"] is None:
        raise flags.ValidationError(
            "table 1 is trained as a whole where --algorithms is not given; leave --cells out"
        )
    cells = _cells(int(values["table"]))
    if not values["cells"] or not set(values["cells"]) <= set(cells):
        raise flags.ValidationError(f"--cells should name some of {','.join(cells)}")
    return True


@flags.multi_flags_validator(["table", "cells", "algorithms"])
def _algorithms_have_flagfiles(values: dict[str, Any]) -> bool:
    if values["algorithms"] is None or values["table"] is None:
        return True
    if values["table"] == "4":
        raise flags.ValidationError("table 4 compares no other algorithms; leave --algorithms out")
    number = int(values["table"])
    compared.chosen(number, values["algorithms"], _chosen_cells(number, values["cells"]))
    return True


def _cells(number: int) -> list[str]:
    return list(published.STARTS) if number == 4 else compared.cells(number)


def _chosen_cells(number: int, asked: list[str] | None) -> list[str]:
    return [cell for cell in _cells(number) if asked is None or cell in asked]


def main() -> None:
    """Reproduces a table, or writes the tables of the docs."""
    if WRITE_DOCS.value:
        _write_docs()
    elif ALGORITHMS.value is not None:
        _compare()
    else:
        _reproduce()


def _write_docs() -> None:
    from metasgd_tf.reproduction import pages

    changed = pages.write()
    print(
        "".join(f"written: {page}\n" for page in changed) or "every page is up to date\n",
        end="",
    )


def _reproduce() -> None:
    from metasgd_tf.reproduction import classification, markdown, navigation, sinusoid
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    number = int(TABLE.value)
    output_dir = OUTPUT_DIR.value or f"runs/table{number}"
    chosen = _chosen_cells(number, CELLS.value)
    if number == 1:
        text = markdown.sinusoid(sinusoid.reproduce(output_dir))
    elif number == 4:
        text = markdown.navigation(navigation.reproduce(output_dir, chosen))
    else:
        text = markdown.classification(classification.reproduce(number, output_dir, chosen))
    print(text, end="")
    print(f"\nwritten to {output_dir}/table{number}.json and .md")


def _compare() -> None:
    from metasgd_tf.reproduction.systems import running, systems_markdown
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    number = int(TABLE.value)
    output_dir = OUTPUT_DIR.value or f"runs/table{number}"
    chosen = compared.chosen(number, ALGORITHMS.value, _chosen_cells(number, CELLS.value))
    print(systems_markdown.whole(running.reproduce(number, output_dir, chosen)), end="")
    print(f"\nwritten to {output_dir}/table{number}_systems.json and .md")


if __name__ == "__main__":
    command_line.run(main)
