"""The map of the package holds: a file imports only from lines below its own, or its folder."""

from __future__ import annotations

import ast
import re

import pytest

import abi_cli
from tests.cli import ROOT

PACKAGE = ROOT / "abi_cli"


def ranks() -> dict[str, int]:
    """Name of a file or folder in the map → the number of its line."""
    lines = re.findall(r"^    ((?:\w+/?(?:, )?)+)(?:  .*)?$", abi_cli.__doc__ or "", re.MULTILINE)
    return {
        name.rstrip("/"): number for number, line in enumerate(lines) for name in line.split(", ")
    }


def imports(tree: ast.AST) -> set[str]:
    """Rooms of the package that a module imports from, but for annotations alone."""
    found: set[str] = set()
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.ImportFrom):
            continue
        room, _, rest = (node.module or "").partition(".")
        if room == "abi_cli":
            found |= {rest.partition(".")[0]} if rest else {alias.name for alias in node.names}
    return found - {"__version__"}


FILES = sorted(
    file.relative_to(PACKAGE).as_posix()
    for file in PACKAGE.rglob("*.py")
    if file.parent.name != "templates" and file != PACKAGE / "__init__.py"
)


@pytest.mark.parametrize("name", FILES)
def test_it_imports_from_below(name):
    order = ranks()
    own = name.partition("/")[0].removesuffix(".py")
    above = [
        room
        for room in imports(ast.parse((PACKAGE / name).read_text()))
        if room != own and order[room] < order[own]
    ]
    assert not above


def test_every_room_is_on_the_map():
    rooms = {name.partition("/")[0].removesuffix(".py") for name in FILES}
    assert rooms <= set(ranks())
