"""What the README says is so."""

from __future__ import annotations

import ast
import re

import pytest
from typer.main import get_command

from abi_cli.cli import app
from abi_cli.cli.app import BESIDE, MAIN_JOB
from abi_cli.errors import AbiError
from tests.cli import ROOT, SPECS
from tests.reference import placed

README = ROOT.joinpath("README.md").read_text()
CELLS = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| ")]


def test_every_command_is_listed_and_every_listed_one_exists():
    commands = set(get_command(app).commands)
    assert set(re.findall(r"^    abi ([a-z-]+) ", README, re.MULTILINE)) == commands


def test_every_file_that_is_named_is_there():
    paths = set(re.findall(r"specs/[\w./]+\w", README))
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_spec_is_explained_line_by_line():
    explained = "\n".join(cells[0].strip("`") for cells in CELLS if cells[0].startswith("`"))
    lines = SPECS.joinpath("regression.yaml").read_text().splitlines()
    told = [line.strip() for line in lines]
    skipped = {"meta:", "prior:", "likelihood:", "beta:", "sigma:"}  # told with their section
    for line in told:
        if not line.startswith(tuple(skipped)):
            assert line in explained, line


def test_the_functions_shown_are_those_of_the_spec():
    (shown,) = re.findall(r"```python\n(def meta.*?)```", README, re.DOTALL)

    def bodies(source: str) -> dict[str, str]:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        for function in functions:
            if ast.get_docstring(function):
                del function.body[0]
        return {function.name: ast.dump(function) for function in functions}

    assert bodies(shown) == bodies(SPECS.joinpath("regression.py").read_text())


def test_every_exit_code_is_explained():
    def codes(kind: type[AbiError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    table = README.partition("| exit code |")[2].partition("\n\n")[0]
    explained = {
        int(code)
        for cells in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for code in cells.split(", ")
    }
    assert explained == codes(AbiError) | {0, 130, 143}


@pytest.mark.parametrize("target", ["run", "test"])
def test_the_two_commands_of_the_readme_are_targets_of_make(target):
    assert f"make {target} " in README
    assert re.search(rf"^{target}:", ROOT.joinpath("Makefile").read_text(), re.MULTILINE)


def test_help_and_reference_have_all_commands():
    assert set(get_command(app).commands) == {*MAIN_JOB, *BESIDE}


def test_the_reference_is_that_of_the_commands():
    """`python -m tests.reference` writes it anew."""
    assert placed(README) == README
