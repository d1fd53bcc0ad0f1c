"""Docstrings say first what a thing is: a noun, or what a function does, and stand on their own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import abi_cli

ROOT = Path(abi_cli.__file__).parent
ELLIPTIC = re.compile(
    r"(What|How|Whether|Those|That|Which|Where|When|Who|As|Of|In|At|And|Also|Back|Its|It|They|This)\b"
)


def elliptic(code: str) -> list[str]:
    """First lines of docstrings that begin in the middle of a thought."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(ast.parse(code)) if isinstance(node, kinds))
    said = filter(None, (ast.get_docstring(node) for node in nodes))
    return [text.splitlines()[0] for text in said if ELLIPTIC.match(text)]


@pytest.mark.parametrize("said", ["What it is.", "Of draws.", "As JSON.", "Whether it is there."])
def test_elliptic_beginnings_are_seen(said):
    assert elliptic(f'def f():\n    """{said}"""') == [said]
    assert elliptic('class A:\n    """A whole."""') == []


def test_docstrings_begin_with_what_they_are_about():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := elliptic(path.read_text(encoding="utf-8")))
    }
    assert found == {}
