"""The pages of docs/ and the README: their tables are what the files of results say."""

import json
import pathlib
import re

import pytest

from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.reproduction import elements, pages
from metasgd_tf.reproduction.documents import algorithm_table, evaluations, faults, measurements
from tests.metasgd_tf.shell import assert_refused, command
from trainers.errors import InputError

PAGES = [pages.ROOT / page for page in pages.rendered()]
RECORD = {
    "command": "python -m a.command",
    "machine": "2 cores",
    "reported_in": "1234567",
    "columns": ["case", "mean", "ms"],
    "rows": [["first", [0.2, 0.14], 87.0], ["second", None, 5]],
}


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one page and one file of results."""
    results = tmp_path / "docs" / "results"
    results.mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Nothing generated\n", encoding="utf-8")
    (results / "speed.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (tmp_path / "docs" / "page.md").write_text(
        "Before.\n\n<!-- table: speed -->\nold\n<!-- end -->\n\nAfter.\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_committed_pages_are_what_the_command_writes(page):
    text = pages.rendered()[page.relative_to(pages.ROOT)]
    assert page.read_text(encoding="utf-8") == text, "run: metasgd_tf.reproduce --write_docs"


def test_every_table_of_numbers_is_shown_on_a_page():
    shown = set()
    for page in PAGES:
        shown |= set(re.findall(r"^<!-- table: (\w+) -->$", page.read_text(encoding="utf-8"), re.M))
    files = {path.stem for path in (pages.ROOT / "docs" / "results").glob("*.json")}
    # Evaluations of single runs are rows of table 2.
    held = {name for name in files if not re.match(r"omniglot_\d+way", name)}
    assert shown >= held | set(pages.TABLES)


def test_layers_are_counted_and_errors_are_a_no():
    ways = {"compiled": "trained", "uncompiled": "trained"}
    rows = [
        {"layer": "Dense", "meta-gradient": "right", **ways},
        {"layer": "LSTM", "meta-gradient": "right", **ways, "compiled": "too slow"},
        {"layer": "Odd", "meta-gradient": "wrong", **ways, "compiled": "InputError: no | way"},
    ]
    assert measurements.layers({"rows": rows}).splitlines() == [
        "|  | meta-gradient | compiled | uncompiled |",
        "| --- | --- | --- | --- |",
        "| passed | 2 of 3 | 1 of 3 | 3 of 3 |",
        "",
        "| layer | meta-gradient | compiled | uncompiled |",
        "| --- | --- | --- | --- |",
        "| Dense | right | trained | trained |",
        "| LSTM | right | too slow | trained |",
        "| Odd | wrong | no | trained |",
    ]


def test_the_readme_is_short():
    assert len((pages.ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def anchors(page):
    """Returns what a link may name in a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_relative_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_commands_and_flagfiles_that_are_named_are_there(page):
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"python -m ([\w.]+)", text):
        path = pages.ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for path in re.findall(r"configs/\w+\.flags", text):
        assert (pages.ROOT / path).exists(), path


def test_a_table_replaces_what_is_between_its_comments(checkout):
    assert pages.write(checkout) == [pathlib.Path("docs/page.md")]
    assert (checkout / "docs" / "page.md").read_text(encoding="utf-8") == (
        "Before.\n\n"
        "<!-- table: speed -->\n\n"
        "| case | mean | ms |\n"
        "| --- | --- | --- |\n"
        "| first | 0.20 ± 0.14 | 87.0 |\n"
        "| second | – | 5 |\n\n"
        "*`python -m a.command`; first reported with commit 1234567; 2 cores; "
        "[speed.json](results/speed.json).*\n\n"
        "<!-- end -->\n\nAfter.\n"
    )
    assert pages.write(checkout) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: speed -->\n", "page.md.*no `<!-- end -->`"),
        ("<!-- table: speed -->\n<!-- table: speed -->\n<!-- end -->\n", "no `<!-- end -->`"),
        ("<!-- table: nothing -->\n<!-- end -->\n", "page.md.*no table nothing"),
    ],
)
def test_malformed_pages_are_refused(checkout, text, said):
    (checkout / "docs" / "page.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        pages.write(checkout)


def test_files_that_are_no_json_are_refused(checkout):
    (checkout / "docs" / "results" / "speed.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"speed\.json: cannot be read as JSON"):
        pages.write(checkout)


def test_an_installed_package_is_no_checkout(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} is not a checkout"):
        pages.write(tmp_path)


def test_times_are_beside_ours():
    rows = [
        {"case": "omniglot", "system": "jax", "ms_per_iteration": 150.0},
        {
            "case": "omniglot",
            "system": "metasgd_tf",
            "ms_per_iteration": 100.0,
            "floor_ms": 40.0,
            "first_step_seconds": 5.04,
            "rounds": 5,
        },
    ]
    line = measurements.steps({"rows": rows}).splitlines()[-1]
    assert line == "| Omniglot 5-way 1-shot, 32 tasks | 100 | 150 (1.5 ×) | 40 % | 5.0 s | 5 |"


def test_a_source_names_commit_machine_and_versions():
    origin = {
        "commit": "0123456789+changes",
        "machine": {"system": "Linux", "processor": "AMD EPYC", "cores": 1},
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }
    assert elements.source(origin, "[a.json](a.json)") == (
        "*Commit `0123456` and changes; AMD EPYC, 1 core; Python 3.11.7; [a.json](a.json).*\n"
    )


def test_a_learner_is_shown_by_as_many_steps_as_its_row_evaluates():
    report = {
        "checkpoint": "best",
        "iteration": 9,
        "results": [
            {"inner_steps": steps, "mean": 0.2 + 0.1 * steps, "ci95": 0.01} for steps in range(4)
        ],
    }
    evaluated = evaluations.Evaluated("5way1shot", "maml")
    assert evaluated.name == "omniglot_5way1shot_maml"
    lines = evaluations.accuracies(lambda name: report, (evaluated,)).splitlines()[2:]
    start = "| 5-way 1-shot | MAML | best: iteration 9 |"
    assert lines == [
        f"{start} 1 | 30.00 ± 1.00 | – |",
        f"{start} 2 | 40.00 ± 1.00 | – |",
        # The paper's MAML makes three steps in the evaluation.
        f"{start} 3 | 50.00 ± 1.00 | 98.7 ± 0.4 |",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name exactly one of --table=1, 2, 3 or 4 and --write_docs"),
        (["--table=1", "--write_docs"], "name exactly one of"),
        (["--write_docs", "--cells=fixed"], "--write_docs takes neither"),
    ],
)
def test_a_table_or_the_pages_are_asked_for(arguments, said):
    assert said in assert_refused(command("reproduce", *arguments))


def test_every_algorithm_is_described_with_its_flags():
    text = (pages.ROOT / "docs" / "guide" / "learners.md").read_text(encoding="utf-8")
    generated = algorithm_table.algorithms()
    by_hand = text.replace(generated, "")
    assert by_hand != text
    for name, algorithm in ALGORITHMS.items():
        assert f"`{name}`" in by_hand, name
        (line,) = (line for line in generated.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {algorithm.title} | {', '.join(algorithm.kinds)} |" in line
        assert all(f"`--{flag}" in line for flag in algorithm.flags)
    assert (
        "| `anil` | ANIL | classification, regression | `--alpha=fixed`, `--alpha_init=0.01`, "
        "`--first_order=false`, `--inner_steps=1`, `--body_alpha_init`, `--adapted`, "
        "`--tied_head`, `--train_ways`, `--label_smoothing`, `--remat=false` |\n" in generated
    )
    assert "`--alpha=per_weight`, `--alpha_init`, `--first_order=true`" in generated


def test_faults_of_several_seeds_are_added_up():
    killed = {
        "fault": "SIGKILL",
        "command": "train",
        "times": 5,
        "as_promised": 4,
        "found": "a | b",
    }
    rows = [killed, killed | {"times": 2, "as_promised": 2, "found": "c"}]
    rows.append(killed | {"command": "export", "times": 1, "as_promised": 1, "found": "d"})
    assert faults.faults({"rows": rows}).splitlines()[2:] == [
        "| SIGKILL | `train` | 7 | 6 | a \\| b; c |",
        "| SIGKILL | `export` | 1 | 1 | d |",
    ]
