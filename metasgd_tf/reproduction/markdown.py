"""The tables as Markdown: ours beside the paper's."""

from typing import Any

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction.elements import (
    MISSING,
    as_printed,
    commit,
    interval,
    machine,
    rounded,
    table,
)
from metasgd_tf.reproduction.published import CELLS, LEARNERS, SHOTS, TABLES, figure, words

_RUN_HEADS = (
    "flagfile",
    "seed",
    "iterations, time",
    "test tasks",
    "commit",
    "machine",
)


def sinusoid(results: dict[str, Any]) -> str:
    """Returns table 1: ours and the paper's in each cell, and below them the differences.

    Args:
      results: what `table1.json` holds.
    """
    heads = ["trained on", "learner", *(f"{shots}-shot test: ours (paper)" for shots in SHOTS)]
    rows = []
    for trained_on in SHOTS:
        for algorithm in LEARNERS:
            learner = ALGORITHMS[algorithm].title
            cells = [
                f"{interval(row['mean'], row['ci95'])} "
                f"({interval(row['paper_mean'], row['paper_ci95'])})"
                for row in results["results"]
                if (row["trained_on"], row["algorithm"]) == (trained_on, algorithm)
            ]
            rows.append([f"{trained_on}-shot", learner, *cells])
        cells = [
            interval(row["difference"], row["ci95"], sign="+")
            for row in results["differences"]
            if row["trained_on"] == trained_on
        ]
        rows.append([f"{trained_on}-shot", "Meta-SGD − MAML", *cells])
    return table(heads, rows)


def sinusoid_runs(results: dict[str, Any]) -> str:
    """Returns a table of how each row of table 1 was made.

    Args:
      results: what `table1.json` holds.
    """
    heads = ("trained on", "learner", *_RUN_HEADS)
    rows = [
        [
            f"{row['trained_on']}-shot",
            ALGORITHMS[row["algorithm"]].title,
            f"`{row['config']}`",
            f"{row['seed']}",
            f"{row['iteration']:,}, {row['training_seconds']:,.1f} s",
            f"{row['num_tasks']} curves × {row['repeats']} support sets",
            commit(results),
            machine(results),
        ]
        for row in results["results"]
        # A learner has a row for each number of shots in the test.
        if row["shots"] == row["trained_on"]
    ]
    return table(heads, rows)


def navigation(results: dict[str, Any]) -> str:
    """Returns table 4: returns after each number of updates, then those of each seed.

    Args:
      results: what `table4.json` holds.
    """
    return navigation_returns(results) + "\n" + navigation_runs(results)


def navigation_returns(results: dict[str, Any]) -> str:
    """Returns table 4 without its runs."""
    heads = [
        "start",
        "learner",
        *(f"after {number} update{'s' * (number != 1)}" for number in range(4)),
        "paper, after 1",
    ]
    rows = []
    for start, held in results["starts"].items():
        for algorithm in LEARNERS:
            own = [row for row in held["results"] if row["algorithm"] == algorithm]
            cells = [interval(row["mean"], row["ci95"]) for row in own]
            paper = interval(own[1]["paper_mean"], own[1]["paper_ci95"])
            rows.append([start, ALGORITHMS[algorithm].title, *cells, paper])
        cells = [interval(row["difference"], row["ci95"], sign="+") for row in held["differences"]]
        rows.append([start, "Meta-SGD − MAML", *cells, MISSING])
    return table(heads, rows)


def navigation_runs(results: dict[str, Any]) -> str:
    """Returns a table of how each run of table 4 was made, and its returns."""
    heads = (
        "start",
        "learner",
        *_RUN_HEADS,
        "reward in training",
        "trajectories",
        "returns after 0, 1, 2, 3 updates",
    )
    rows = [
        [
            start,
            ALGORITHMS[run["algorithm"]].title,
            f"`{run['config']}`",
            f"{run['seed']}",
            f"{run['iteration']:,}, {run['training_seconds']:,.0f} s",
            f"{held['results'][0]['num_tasks']}",
            commit(held),
            machine(held),
            run["reward"],
            f"{run['trajectories']}",
            ", ".join(rounded(value) for value in run["returns"]),
        ]
        for start, held in results["starts"].items()
        for run in held["seeds"]
    ]
    return table(heads, rows)


def classification(results: dict[str, Any]) -> str:
    """Returns table 2 or 3 with what was published elsewhere, then how each row was made.

    Args:
      results: what `table2.json` or `table3.json` holds.
    """
    parts = [accuracies(results), _origins(results), _negative_shares(results)]
    return "\n".join(part for part in parts if part)


def accuracies(results: dict[str, Any]) -> str:
    """Returns table 2 or 3 without how its rows were made."""
    published = TABLES[results["table"]]
    heads = [
        f"{results['task']}, accuracy in %",
        *(f"{words(name)}: ours (paper)" for name in CELLS),
    ]
    done = results["cells"]
    # The same for any number of ways.
    learners = [row.learner for row in next(iter(published.rows.values()))]
    rows = []
    for learner in learners:
        cells = []
        for name in CELLS:
            ours = _found(done, name, "results", "learner", learner)
            paper = figure(published, learner, name)
            cell = interval(ours["mean"], ours["ci95"]) if ours else MISSING
            cells.append(cell if paper[0] is None else f"{cell} ({as_printed(*paper)})")
        rows.append([learner, *cells])
    for learner in learners[1:]:
        differences = [_found(done, name, "differences", "minus", learner) for name in CELLS]
        cells = [
            interval(found["difference"], found["ci95"], sign="+") if found else MISSING
            for found in differences
        ]
        rows.append([f"{learners[0]} − {learner}", *cells])
    for name in published.others:
        cells = [as_printed(*figure(published, name, cell)) for cell in CELLS]
        rows.append([f"{name}, published", *cells])
    return table(heads, rows)


def _found(
    cells: dict[str, Any], cell: str, part: str, key: str, value: str
) -> dict[str, Any] | None:
    rows = cells[cell][part] if cell in cells else []
    return next((row for row in rows if row[key] == value), None)


def _origins(results: dict[str, Any]) -> str:
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
        "commit",
        "machine",
    )
    rows = [
        [
            words(cell),
            row["learner"],
            f"`{row['config']}`",
            f"{row['seed']}",
            f"{row['alpha_init']:g}",
            f"{row['training_inner_steps']}, {row['inner_steps']}",
            f"{row['checkpoint']}: {row['iteration']:,} of {row['iterations']:,}, "
            f"{row['training_seconds']:,.0f} s",
            row["batch_norm"] or "none",
            f"{row['num_tasks']}",
            commit(held),
            machine(held),
        ]
        for cell, held in results["cells"].items()
        for row in held["results"]
    ]
    return table(heads, rows)


def _negative_shares(results: dict[str, Any]) -> str:
    rows = [
        [
            words(cell),
            row["learner"],
            ", ".join(f"{layer} {share:.1%}" for layer, share in shares.items()),
        ]
        for cell, held in results["cells"].items()
        for row in held["results"]
        if (shares := row["alpha_negative_share"])
    ]
    return table(("cell", "learner", "share of α below 0, by layer"), rows)
