"""Which algorithms are compared in which cells of a table: those that have a flagfile for it."""

from collections.abc import Sequence

from absl import flags

from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.published import CELLS, SHOTS, TABLES

ALL = "all"
"""The value of `--algorithms` that stands for every one with a flagfile."""

TASKS = {1: "sinusoid", **{number: table.task for number, table in TABLES.items()}}
"""By the number of the table, the value of `--task` that its flagfiles' names begin with."""


def cells(number: int) -> list[str]:
    """Returns the cells of a table in the names of its flagfiles."""
    return [f"{shots}shot" for shots in SHOTS] if number == 1 else list(CELLS)


def config(number: int, cell: str, algorithm: str) -> str:
    """Returns the name of a flagfile, without its ending.

    A learner that is trained with other ways than it is tested with has one for the cells of all
    ways, which is named without them.
    """
    shots = cell.rpartition("way")[2]
    of_all_ways = f"{TASKS[number]}_{shots}_{algorithm}"
    return of_all_ways if _exists(of_all_ways) else f"{TASKS[number]}_{cell}_{algorithm}"


def has_flagfile(number: int, cell: str, algorithm: str) -> bool:
    """Returns whether an algorithm can be trained in a cell."""
    return _exists(config(number, cell, algorithm))


def _exists(name: str) -> bool:
    return (run_flags.CONFIGS / f"{name}.flags").exists()


def chosen(number: int, asked: Sequence[str], of_cells: Sequence[str]) -> dict[str, list[str]]:
    """Returns the algorithms to compare in each cell, in the order of `ALGORITHMS`.

    Args:
      number: the table's number, 1 to 3.
      asked: values of `--algorithm`, or `ALL` alone.
      of_cells: some of `cells(number)`.

    Raises:
      flags.ValidationError: if `asked` is empty, or names one twice, one that is unknown, or one
        that has no flagfile for one of the cells.
    """
    if list(asked) == [ALL]:
        asked = list(ALGORITHMS)
        return {cell: [a for a in asked if has_flagfile(number, cell, a)] for cell in of_cells}
    _refuse_bad_names(asked)
    for name in asked:
        _refuse_without_flagfile(number, name, of_cells)
    return {cell: sorted(asked, key=list(ALGORITHMS).index) for cell in of_cells}


def _refuse_bad_names(asked: Sequence[str]) -> None:
    named = f"algorithms={','.join(asked)}"
    known = f"should be {ALL}, or some of {','.join(ALGORITHMS)}"
    if not asked:
        raise flags.ValidationError(f"{named}: names none; {known}")
    for name in asked:
        if name == ALL:
            raise flags.ValidationError(f"{named}: {ALL} should stand alone")
        if name not in ALGORITHMS:
            raise flags.ValidationError(f"{named}: there is no {name!r}; {known}")
        if asked.count(name) > 1:
            raise flags.ValidationError(f"{named}: names {name} twice; should name it once")


def _refuse_without_flagfile(number: int, name: str, of_cells: Sequence[str]) -> None:
    lacking = [cell for cell in of_cells if not has_flagfile(number, cell, name)]
    if not lacking:
        return
    there = [cell for cell in cells(number) if has_flagfile(number, cell, name)]
    if there and number != 1:
        instead = f"leave it out, or ask for --cells={','.join(there)}"
    else:
        able = [a for a in ALGORITHMS if all(has_flagfile(number, c, a) for c in of_cells)]
        instead = f"should be some of {','.join(able)}"
    raise flags.ValidationError(
        f"algorithms={name}: has no flagfile configs/{config(number, lacking[0], name)}.flags; "
        f"{instead}"
    )
