"""What BUILD says of Python modules.

Bazel is not needed: BUILD keeps to calls with literal arguments, which Python can read too.
"""

import ast
import dataclasses

RULES = ("py_library", "py_binary", "py_test")


@dataclasses.dataclass(frozen=True)
class Target:
    """A target of BUILD that holds Python modules."""

    rule: str
    name: str
    srcs: tuple[str, ...]
    deps: frozenset[str]


def read_targets(text: str) -> list[Target]:
    """Reads the targets that hold Python modules."""
    targets = []
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call), (
            f"BUILD line {statement.lineno}: write a plain call, which this test can read"
        )
        call = statement.value
        if not isinstance(call.func, ast.Name) or call.func.id not in RULES:
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        name = ast.literal_eval(given["name"])
        srcs, deps = (
            ast.literal_eval(given[key]) if key in given else [] for key in ("srcs", "deps")
        )
        for labels in (srcs, deps):
            assert len(labels) == len(set(labels)), f"BUILD: {name} names one label twice"
        targets.append(Target(call.func.id, name, tuple(srcs), frozenset(deps)))
    return targets
