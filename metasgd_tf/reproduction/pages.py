"""The tables in README.md and in the pages of docs/, written from the files of docs/results.

A page has a table between two comments, `<!-- table: NAME -->` and `<!-- end -->`. NAME is a key of
`TABLES`, or a file of results that holds its own columns. All else in a page is written by hand.
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.reproduction import elements, markdown
from metasgd_tf.reproduction.documents import (
    algorithm_table,
    evaluations,
    faults,
    headline,
    measurements,
    recipe,
)
from metasgd_tf.reproduction.documents.evaluations import Read
from metasgd_tf.reproduction.systems import systems_markdown
from trainers.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]
"""The checkout, if there is one."""

_MARKED = re.compile(r"^(<!-- table: (\w+) -->\n)(.*?)^(<!-- end -->)$", re.DOTALL | re.MULTILINE)
_OPENING = re.compile("^<!-- table: ", re.MULTILINE)

Render = Callable[[dict[str, Any]], str]


def _of(name: str, render: Render) -> Callable[[Read], str]:
    return lambda read: render(read(name))


def _comparison(name: str) -> dict[str, Callable[[Read], str]]:
    return {
        name: _of(name, systems_markdown.scores),
        f"{name}_missing": _of(name, systems_markdown.missing),
        f"{name}_costs": _of(name, systems_markdown.costs),
        f"{name}_runs": _of(name, systems_markdown.runs),
    }


TABLES: dict[str, Callable[[Read], str]] = {
    "algorithms": lambda read: algorithm_table.algorithms(),
    "headline": headline.headline,
    "table1": _of("table1", markdown.sinusoid),
    "table1_runs": _of("table1", markdown.sinusoid_runs),
    **_comparison("table1_systems"),
    "table2": functools.partial(evaluations.accuracies, evaluations=evaluations.FULL),
    "table2_runs": functools.partial(evaluations.runs, evaluations=evaluations.FULL),
    "table2_short": functools.partial(evaluations.accuracies, evaluations=evaluations.SHORT),
    "table2_short_runs": functools.partial(evaluations.runs, evaluations=evaluations.SHORT),
    **_comparison("table2_systems"),
    "table2_systems_sources": _of("table2_systems", systems_markdown.sources),
    "recipe": recipe.accuracies,
    "recipe_runs": recipe.runs,
    "table3": _of("table3", markdown.accuracies),
    **_comparison("table3_systems"),
    "table3_systems_sources": _of("table3_systems", systems_markdown.sources),
    "table4": _of("table4", markdown.navigation_returns),
    "table4_runs": _of("table4", markdown.navigation_runs),
    "table4_without_times_reward": _of("table4_without_times_reward", markdown.navigation_returns),
    "table4_without_times_reward_runs": _of(
        "table4_without_times_reward", markdown.navigation_runs
    ),
    "layers": _of("layers", measurements.layers),
    "meta_step": _of("meta_step", measurements.steps),
    "meta_step_avx2": _of("meta_step_avx2", measurements.steps),
    "meta_step_avx2_faster": _of("meta_step_avx2_faster", measurements.steps),
    "navigation_speed": _of("navigation_speed", measurements.steps),
    "serving": _of("serving", measurements.requests),
    "faults": _of("faults", faults.faults),
    "serving_shared_functions": _of("serving_shared_functions", measurements.requests),
}
"""The tables by name, each a function of a reader of the files of results."""


def write(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Writes the tables into the pages.

    Args:
      root: the checkout.

    Returns:
      The pages that changed, relative to the checkout.

    Raises:
      InputError: if there is no checkout, a page is malformed, or a file of results cannot be read.
    """
    changed = []
    for page, text in rendered(root).items():
        path = root / page
        if path.read_text(encoding="utf-8") != text:
            with replaced(path) as file:
                file.write(text)
            changed.append(page)
    return changed


def rendered(root: pathlib.Path = ROOT) -> dict[pathlib.Path, str]:
    """Returns the text of each page, by its path in the checkout.

    Args:
      root: the checkout.

    Raises:
      InputError: if there is no checkout, a page is malformed, or a file of results cannot be read.
    """
    results = root / "docs" / "results"
    if not results.is_dir() or not (root / "README.md").is_file():
        raise InputError(
            f"write_docs: {root} is not a checkout of the project; run it where README.md and "
            "docs/results are"
        )
    paths = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {path.relative_to(root): _page(path, results) for path in paths}


def _page(path: pathlib.Path, results: pathlib.Path) -> str:
    text = path.read_text(encoding="utf-8")
    if len(_OPENING.findall(text)) != len(_MARKED.findall(text)):
        raise InputError(f"{path}: a table's opening comment has no `<!-- end -->` of its own")

    def filled(match: re.Match[str]) -> str:
        opening, name, _, end = match.groups()
        return f"{opening}\n{_table(name, path, results)}\n{end}"

    return _MARKED.sub(filled, text)


def _table(name: str, page: pathlib.Path, results: pathlib.Path) -> str:
    read = functools.partial(_read, results)
    file = results / f"{name}.json"
    if name not in TABLES and not file.exists():
        raise InputError(f"{page}: there is no table {name}, nor a file {file}")
    text = TABLES.get(name, _of(name, measurements.recorded))(read)
    if not file.exists():
        return text
    link = pathlib.PurePath(os.path.relpath(file, page.parent)).as_posix()
    return f"{text}\n{elements.source(read(name), f'[{file.name}]({link})')}"


def _read(results: pathlib.Path, name: str) -> dict[str, Any]:
    path = results / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
