"""Commands in hints: what a person copies into a shell does what is meant."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from abi_cli.harmless import to_type
from tests.cli import ROOT, abi

COMMAND = re.compile(r"\b(abi [a-z][a-z-]*|mkdir)( [^.;:,()`]*)?$")


def spelled_out(source: str) -> list[str]:
    """Commands in f-strings with something filled in that nothing has quoted."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        said = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                said += str(part.value)
            elif COMMAND.search(said):
                found.append(said + ast.unparse(part))
    return found


def test_no_path_stands_in_a_command_as_it_is():
    for file in (ROOT / "abi_cli").rglob("*.py"):
        assert spelled_out(file.read_text()) == [], file


def test_such_a_one_would_be_found():
    assert spelled_out('f"Let it go on: abi train --resume {path}"')
    assert spelled_out('f"mkdir -p {path.parent}"')
    assert not spelled_out('f"abi {version}"')
    assert not spelled_out('f"abi estimate has all of them. {path}"')


def test_a_command_comes_through_a_shell_as_it_was_meant():
    words = ["abi", "train", "--resume", Path("my runs/it's [1]"), "--extend", 3]
    assert shlex.split(to_type(*words)) == [*map(str, words)]
    assert to_type("abi", "sample", Path("runs/a"), "DATA.csv") == "abi sample runs/a DATA.csv"


def test_hints_name_folders_with_spaces_so_that_they_can_be_copied(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.yaml").write_text("name: a\n")
    said = abi("sample", "a b.yaml", "data.csv").stderr
    (hint,) = re.findall(r"hint: .*: (abi train .*)", said)
    assert shlex.split(hint) == ["abi", "train", "a b.yaml"]
    started = abi("init", "my trial")
    assert "abi check 'my trial/my_trial.yaml'\n" in started.stderr
    refused = abi("simulate", "my trial/my_trial.yaml", "-n", 2, "-o", "no where/a.csv")
    assert "hint: mkdir -p 'no where'\n" in refused.stderr
