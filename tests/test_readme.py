"""What README and manual say of commands, exit codes and the first spec is so."""

from __future__ import annotations

import ast
import re

import pytest
from typer.main import get_command

from abi_cli import registry
from abi_cli.cli import app
from abi_cli.cli.app import GROUPS
from abi_cli.errors import AbiError
from tests.cli import ROOT, SPECS
from tests.reference import placed

README = ROOT.joinpath("README.md").read_text(encoding="utf-8")


def page(topic: str) -> str:
    return ROOT.joinpath("abi_cli", "pages", f"{topic}.md").read_text(encoding="utf-8")


def test_a_newcomer_has_less_than_400_lines_to_read():
    assert len(README.splitlines()) <= 350


def test_every_command_is_listed_and_every_listed_one_exists():
    listed = re.findall(r"^abi ([a-z-]+) ", page("commands"), re.MULTILINE)
    assert set(listed) == set(get_command(app).commands)


def test_the_spec_is_explained_line_by_line():
    rows = [line.strip("| ").split(" | ") for line in page("spec").splitlines()]
    explained = "\n".join(cells[0].strip("`") for cells in rows if cells[0].startswith("`"))
    lines = SPECS.joinpath("regression.yaml").read_text(encoding="utf-8").splitlines()
    told = [line.strip() for line in lines]
    skipped = {"meta:", "prior:", "likelihood:", "beta:", "sigma:"}  # told with their section
    for line in told:
        if not line.startswith(tuple(skipped)):
            assert line in explained, line


@pytest.mark.parametrize("text", [README, page("spec")], ids=["README", "spec"])
def test_the_functions_shown_are_those_of_the_spec(text):
    (shown,) = re.findall(r"```python\n(def meta.*?)```", text, re.DOTALL)

    def bodies(source: str) -> dict[str, str]:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        for function in functions:
            if ast.get_docstring(function):
                del function.body[0]
        return {function.name: ast.dump(function) for function in functions}

    assert bodies(shown) == bodies(SPECS.joinpath("regression.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("topic", ["commands", "agents"])
def test_every_exit_code_is_explained(topic):
    def codes(kind: type[AbiError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    table = page(topic).partition("| exit code |")[2].partition("\n\n")[0]
    explained = {
        int(code)
        for cells in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for code in cells.split(", ")
    }
    assert explained == codes(AbiError) | {0, 130, 143}


def test_every_network_is_told_of():
    told = page("which-network")
    for kind in ("summary network", "inference network"):
        assert not [name for name in registry.names(kind) if f"`{name}" not in told]


@pytest.mark.parametrize("target", ["run", "test"])
def test_the_two_commands_of_the_readme_are_targets_of_make(target):
    assert f"make {target} " in README
    makefile = ROOT.joinpath("Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_help_and_reference_have_all_commands():
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(get_command(app).commands)


def test_the_reference_is_that_of_the_commands():
    """`python -m tests.reference` writes it anew."""
    assert placed(page("commands")) == page("commands")
