"""Measurements as Markdown: results of the benchmarks, and numbers written down by hand."""

from typing import Any

from metasgd_tf.reproduction.elements import MISSING, as_printed, table

SYSTEMS = {
    "metasgd_tf": "metasgd_tf",
    "torch_loop": "PyTorch, autograd loop",
    "torch_func": "PyTorch, torch.func",
    "jax": "JAX, loop inside jit",
}
PASSED, FAILED = ("right", "trained"), ("wrong", "too slow")
"""What `benchmarks.layers` notes beside the error that a trial ended in."""

CASES = {
    "sinusoid": "sinusoid, 5-shot, 4 tasks",
    "omniglot": "Omniglot 5-way 1-shot, 32 tasks",
    "omniglot_maxpool": "the same with max-pooling",
    "mini_imagenet": "MiniImagenet's size, 5-way 1-shot, 4 tasks, 15 queries",
    "navigation": "2D navigation, 40 tasks of 20 trajectories before and after the update",
}


def steps(measured: dict[str, Any]) -> str:
    """Returns the times of a meta-iteration by case and system.

    Args:
      measured: what `benchmarks.meta_step --json` writes.
    """
    systems = [name for name in SYSTEMS if any(row["system"] == name for row in measured["rows"])]
    heads = (
        "ms a meta-iteration",
        *(SYSTEMS[name] for name in systems),
        "share of the floor reached",
        "first step here",
        "rounds",
    )
    rows = []
    for case in dict.fromkeys(row["case"] for row in measured["rows"]):
        of_case = {row["system"]: row for row in measured["rows"] if row["case"] == case}
        ours = of_case["metasgd_tf"]
        floor = ours.get("floor_ms")
        rows.append(
            [
                CASES[case],
                *(_time(of_case.get(name), ours) for name in systems),
                f"{100 * floor / ours['ms_per_iteration']:.0f} %" if floor else MISSING,
                f"{ours['first_step_seconds']:.1f} s",
                f"{ours['rounds']}",
            ]
        )
    return table(heads, rows)


def _time(row: dict[str, Any] | None, ours: dict[str, Any]) -> str:
    if row is None:
        return MISSING
    time = row["ms_per_iteration"]
    text = f"{time:,.0f}" if time >= 10 else f"{time:.2g}"
    return text if row is ours else f"{text} ({time / ours['ms_per_iteration']:.1f} ×)"


def requests(measured: dict[str, Any]) -> str:
    """Returns the times of requests by system and tasks.

    Args:
      measured: what `benchmarks.serving --json` writes.
    """
    sizes = list(dict.fromkeys(row["tasks"] for row in measured["rows"]))
    heads = (
        "",
        *(f"B = {size}: p50, p99 in ms" for size in sizes),
        f"tasks a second at B = {sizes[-1]}",
    )
    titles = {"metasgd_tf": "the export in TensorFlow", "torch_func": "the same in torch.func"}
    rows = []
    rates = {}
    for system, title in titles.items():
        own = [row for row in measured["rows"] if row["system"] == system]
        times = [f"{row['p50_ms']:.1f}, {row['p99_ms']:.1f}" for row in own]
        rates[system] = own[-1]["tasks_per_second"]
        rows.append([title, *times, f"{rates[system]:.0f}"])
    ratio = rates["metasgd_tf"] / rates["torch_func"]
    rows.append(["the export over torch.func", *[""] * len(sizes), f"{ratio:.2f} ×"])
    return table(heads, rows)


def layers(measured: dict[str, Any]) -> str:
    """Returns how many layers passed each trial, then what came of each layer.

    Args:
      measured: what `benchmarks.layers --json` writes.
    """
    rows = measured["rows"]
    trials = [name for name in rows[0] if name != "layer"]
    counts = [f"{sum(row[trial] in PASSED for row in rows)} of {len(rows)}" for trial in trials]
    each = [
        [row["layer"], *(row[t] if row[t] in (*PASSED, *FAILED) else "no" for t in trials)]
        for row in rows
    ]
    return "\n".join([table(["", *trials], [["passed", *counts]]), table(["layer", *trials], each)])


def recorded(record: dict[str, Any]) -> str:
    """Returns a table of numbers that were written down by hand as their command printed them.

    Args:
      record: `columns`, the heads, and `rows` of cells: words, numbers, pairs of a mean and its
        95 % confidence interval, or null.
    """
    return table(record["columns"], [[_cell(cell) for cell in row] for row in record["rows"]])


def _cell(cell: str | float | list[float] | None) -> str:
    if cell is None:
        return MISSING
    if isinstance(cell, list):
        return as_printed(*cell)
    return f"{cell}"
