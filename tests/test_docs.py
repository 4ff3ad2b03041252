"""What the pages name is there: files, headings, commands, flags; and one version everywhere."""

import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """Returns what headings of a page are linked by."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    dead = []
    for target in LINK.findall(FENCED.sub("", text_of(page))):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert not dead, f"{name_of(page)}: {dead}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_flagfile_is_there(page):
    text = text_of(page)
    for module in re.findall(r"python -m ((?:metasgd_tf|benchmarks|examples)[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for target in re.findall(r"`make ([\w-]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for path in re.findall(r"configs/\w+\.flags", text):
        assert (ROOT / path).exists(), path


def defined_flags():
    """Returns what may be a flag's name: the first argument of a call in a module of flags."""
    files = [*(ROOT / "metasgd_tf").glob("*.py"), *(ROOT / "metasgd_tf" / "flags").glob("*.py")]
    calls = (re.findall(r"\w\(\s*\"(\w+)\"", file.read_text()) for file in files)
    return {"flagfile", "help", *(name for names in calls for name in names)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_flag_of_ours_exists(page):
    named = set()
    for line in re.findall(r"python -m metasgd_tf\.[^\n`]*(?:\\\n[^\n`]*)*", text_of(page)):
        named |= set(re.findall(r"--(\w+)", line))
    unknown = {re.sub("^no", "", name) for name in named} - defined_flags()
    assert not unknown


def test_one_version_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f'version = "{version}",' in (ROOT / "MODULE.bazel").read_text()
    newest = re.findall(r"^## \[([\d.]+)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)[0]
    assert newest == version
