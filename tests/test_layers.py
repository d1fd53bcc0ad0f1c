"""The map of the package holds: a file imports only from lines below its own, or its folder.

What is imported within a function, or for annotations alone, counts as well; and no files import
each other in a circle, not even within a folder.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter

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


MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.parent.name != "templates" and file != PACKAGE / "__init__.py"
}
"""Dotted name → file, but for the package itself, whose door `load` stands for all of it."""


def imports(code: str) -> set[str]:
    """Modules of the package that code imports anything from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return found & set(MODULES)


GRAPH = {name: imports(file.read_text()) - {name} for name, file in MODULES.items()}


def room(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_from_below(name):
    order = ranks()
    above = [
        other
        for other in GRAPH[name]
        if room(other) != room(name) and order[room(other)] < order[room(name)]
    ]
    assert not above


def test_every_room_is_on_the_map():
    assert {room(name) for name in MODULES} <= set(ranks())


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_files_import_each_other_in_a_circle():
    assert circle(GRAPH) == []


@pytest.mark.parametrize(
    "code",
    [
        "if TYPE_CHECKING:\n    from abi_cli.workflow.training import train\n",
        "def late():\n    from abi_cli.workflow import training\n",
        "import abi_cli.workflow.training\n",
        "import_module('abi_cli.workflow.training')\n",
    ],
    ids=["for annotations", "in a function", "by its name", "by a string"],
)
def test_a_circle_is_seen_however_it_is_closed(code):
    """`training` imports `request`; so were it imported back, that would be a circle."""
    closed = {**GRAPH, "abi_cli.workflow.request": imports(code)}
    assert "abi_cli.workflow.training" in circle(closed)
