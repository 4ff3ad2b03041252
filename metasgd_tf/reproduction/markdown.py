"""The tables as Markdown: ours beside the paper's."""

from collections.abc import Sequence
from typing import Any

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.published import CELLS, LEARNERS, SHOTS, TABLES, figure

MISSING = "–"


def sinusoid(table: dict[str, Any]) -> str:
    """Returns table 1: ours and the paper's in each cell, and below them the differences.

    Args:
      table: what `table1.json` holds.
    """
    heads = ["trained on", "learner", *(f"{shots}-shot test: ours (paper)" for shots in SHOTS)]
    rows = []
    for trained_on in SHOTS:
        for algorithm in LEARNERS:
            learner = ALGORITHMS[algorithm].title
            cells = [
                f"{_interval(row['mean'], row['ci95'])} "
                f"({_interval(row['paper_mean'], row['paper_ci95'])})"
                for row in table["results"]
                if (row["trained_on"], row["algorithm"]) == (trained_on, algorithm)
            ]
            rows.append([f"{trained_on}-shot", learner, *cells])
        cells = [
            _interval(row["difference"], row["ci95"], sign="+")
            for row in table["differences"]
            if row["trained_on"] == trained_on
        ]
        rows.append([f"{trained_on}-shot", "Meta-SGD − MAML", *cells])
    return _table(heads, rows)


def navigation(table: dict[str, Any]) -> str:
    """Returns table 4: returns after each number of updates, then each seed's.

    Args:
      table: what `table4.json` holds.
    """
    updates = range(4)
    heads = [
        "start",
        "learner",
        *(f"after {number} update{'s' * (number != 1)}" for number in updates),
        "paper, after 1",
    ]
    rows, origins = [], []
    for start, held in table["starts"].items():
        for algorithm in LEARNERS:
            learner = ALGORITHMS[algorithm].title
            own = [row for row in held["results"] if row["algorithm"] == algorithm]
            cells = [_interval(row["mean"], row["ci95"]) for row in own]
            paper = _interval(own[1]["paper_mean"], own[1]["paper_ci95"])
            rows.append([start, learner, *cells, paper])
        cells = [_interval(row["difference"], row["ci95"], sign="+") for row in held["differences"]]
        rows.append([start, "Meta-SGD − MAML", *cells, MISSING])
        origins += [
            [
                start,
                ALGORITHMS[run["algorithm"]].title,
                f"`{run['config']}`",
                f"{run['seed']}",
                f"{run['iteration']:,}, {run['training_seconds']:,.0f} s",
                run["reward"],
                f"{run['trajectories']}",
                ", ".join(f"{value:.2f}" for value in run["returns"]),
            ]
            for run in held["seeds"]
        ]
    described = (
        "start",
        "learner",
        "flagfile",
        "seed",
        "iterations, time",
        "reward in training",
        "trajectories",
        "returns after 0, 1, 2, 3 updates",
    )
    return _table(heads, rows) + "\n" + _table(described, origins)


def classification(table: dict[str, Any]) -> str:
    """Returns table 2 or 3 with what was published elsewhere, then how each row was made.

    Args:
      table: what `table2.json` or `table3.json` holds.
    """
    parts = [_accuracies(table), _origins(table), _negative_shares(table)]
    return "\n".join(part for part in parts if part)


def _accuracies(table: dict[str, Any]) -> str:
    published = TABLES[table["table"]]
    heads = [
        f"{table['task']}, accuracy in %",
        *(f"{_words(name)}: ours (paper)" for name in CELLS),
    ]
    done = table["cells"]
    # The same for any number of ways.
    learners = [row.learner for row in next(iter(published.rows.values()))]
    rows = []
    for learner in learners:
        cells = []
        for name in CELLS:
            ours = _found(done, name, "results", "learner", learner)
            paper = figure(published, learner, name)
            cell = _interval(ours["mean"], ours["ci95"]) if ours else MISSING
            cells.append(cell if paper[0] is None else f"{cell} ({_as_printed(*paper)})")
        rows.append([learner, *cells])
    for learner in learners[1:]:
        differences = [_found(done, name, "differences", "minus", learner) for name in CELLS]
        cells = [
            _interval(found["difference"], found["ci95"], sign="+") if found else MISSING
            for found in differences
        ]
        rows.append([f"{learners[0]} − {learner}", *cells])
    for name in published.others:
        cells = [_as_printed(*figure(published, name, cell)) for cell in CELLS]
        rows.append([f"{name}, published", *cells])
    return _table(heads, rows)


def _found(
    cells: dict[str, Any], cell: str, part: str, key: str, value: str
) -> dict[str, Any] | None:
    rows = cells[cell][part] if cell in cells else []
    return next((row for row in rows if row[key] == value), None)


def _origins(table: dict[str, Any]) -> str:
    heads = (
        "cell",
        "learner",
        "flagfile",
        "seed",
        "α at the start",
        "inner steps in training, here",
        "checkpoint: at iteration, after seconds",
        "batch normalisation",
        "test tasks",
    )
    rows = [
        [
            _words(cell),
            row["learner"],
            f"`{row['config']}`",
            f"{row['seed']}",
            f"{row['alpha_init']:g}",
            f"{row['training_inner_steps']}, {row['inner_steps']}",
            f"{row['checkpoint']}: {row['iteration']:,} of {row['iterations']:,}, "
            f"{row['training_seconds']:,.0f} s",
            row["batch_norm"] or "none",
            f"{row['num_tasks']}",
        ]
        for cell, held in table["cells"].items()
        for row in held["results"]
    ]
    return _table(heads, rows)


def _negative_shares(table: dict[str, Any]) -> str:
    rows = [
        [
            _words(cell),
            row["learner"],
            ", ".join(f"{layer} {share:.1%}" for layer, share in shares.items()),
        ]
        for cell, held in table["cells"].items()
        for row in held["results"]
        if (shares := row["alpha_negative_share"])
    ]
    return _table(("cell", "learner", "share of α below 0, by layer"), rows)


def _words(cell: str) -> str:
    ways, shots = CELLS[cell]
    return f"{ways}-way {shots}-shot"


def _interval(mean: float, ci95: float, sign: str = "") -> str:
    return f"{mean:{sign}.2f} ± {ci95:.2f}"


def _as_printed(mean: float | None, ci95: float | None) -> str:
    """Returns a published accuracy with as many digits as it was published with."""
    numbers = [number for number in (mean, ci95) if number is not None]
    digits = max((len(f"{number}".partition(".")[2]) for number in numbers), default=0)
    return " ± ".join(f"{number:.{digits}f}" for number in numbers) or MISSING


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
