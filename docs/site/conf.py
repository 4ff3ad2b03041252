"""The site of the documentation, which `make site` builds: README.md, docs/ and the docstrings.

Its source directory is the repository's root, so that links between pages, and from them to other
files of the repository, are the ones that a reader of the repository follows.
"""

import collections
import os
import sys
import tomllib
from typing import Any

import sphinx.application

sys.path.insert(0, os.path.abspath("../.."))
from metasgd_tf.process_environment import prepare_process

prepare_process()

with open("../../pyproject.toml", "rb") as file:
    release = tomllib.load(file)["project"]["version"]
project = "metasgd_tf"
author = "The metasgd_tf authors"
copyright = author

extensions = ["myst_nb", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "examples/*.ipynb", "api/**/*.rst"]
exclude_patterns = ["api/*/modules.rst"]
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
# The notebook is shown with the outputs that are kept in it.
nb_execution_mode = "off"

# A command defines its flags when it is imported, several of them the same, and lists them by
# --help.
PACKAGES = ("trainers", "models", "metasgd_tf")
COMMANDS = ("classify", "demo", "evaluate", "export", "plot", "reproduce", "train")
apidoc_modules = [
    {
        "path": f"../../{package}",
        "destination": f"api/{package}",
        "exclude_patterns": [f"../../metasgd_tf/{name}.py" for name in COMMANDS],
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
    for package in PACKAGES
]
# `trainers` names again what its modules define.
suppress_warnings = ["ref.python"]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# As in the docstrings: `name` is code.
default_role = "code"
# Formulas are no Python.
highlight_language = "none"
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = f"metasgd_tf {release}"
html_additional_pages = {"index": "to_readme.html"}
templates_path = ["."]
html_copy_source = False
html_show_sphinx = False

CONTENTS = """

```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""
PAGES = {
    "Guide": [
        *(f"docs/guide/{name}" for name in ("runs", "data", "learners", "networks", "navigation")),
        *(f"docs/guide/{name}" for name in ("figures", "tensorboard", "serving", "demo")),
        "docs/precision",
        "docs/cluster",
        "docs/extending",
        "examples/meta_sgd",
    ],
    "Results": [
        "docs/results/README",
        *(f"docs/results/table{number}" for number in (1, 2, 3, 4)),
        "docs/results/systems",
        "docs/results/layers",
        "docs/performance",
        "docs/scaling",
        "docs/reliability",
    ],
    "Reference": [f"api/{package}/{package}" for package in PACKAGES],
    "Project": ["CONTRIBUTING", "CHANGELOG"],
}


def _prepare_readme(_: sphinx.application.Sphinx, page: str, source: list[str]) -> None:
    """Gives the first page the contents of the site, and its diagram as text."""
    if page == root_doc:
        contents = [
            CONTENTS.format(caption=caption, pages="\n".join(pages))
            for caption, pages in PAGES.items()
        ]
        source[0] = source[0].replace("```mermaid", "```text") + "".join(contents)


def _show_formulas(
    _: sphinx.application.Sphinx,
    _kind: str,
    _name: str,
    _object: Any,
    _options: Any,
    lines: list[str],
) -> None:
    """Makes what a docstring indents, formulas and tables, a literal block."""
    for place in range(len(lines) - 1, 1, -1):
        before = [line for line in lines[:place] if line]
        begins = lines[place].startswith("    ") and not lines[place - 1]
        if begins and before and not before[-1].startswith(" "):
            lines[place:place] = ["::", ""]


FIELD = type(collections.namedtuple("Any", "field").field)


def _skip_fields(
    _: sphinx.application.Sphinx, _kind: str, _name: str, member: Any, *_rest: Any
) -> bool | None:
    """Leaves out the fields of named tuples, which the docstrings of these have as attributes."""
    return True if isinstance(member, FIELD) else None


def setup(app: sphinx.application.Sphinx) -> None:
    """Registers what this site adds to Sphinx."""
    app.connect("source-read", _prepare_readme)
    # Before Napoleon, which indents what it makes of the sections.
    app.connect("autodoc-process-docstring", _show_formulas, priority=400)
    app.connect("autodoc-skip-member", _skip_fields)
