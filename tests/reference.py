"""The reference of commands in the manual, made from the commands themselves.

`python -m tests.reference` writes it anew.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from typer.main import get_command

from abi_cli.cli import app
from abi_cli.cli.app import GROUPS
from abi_cli.options import command as with_shared

PAGE = Path(__file__).parents[1] / "abi_cli" / "pages" / "commands.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def shared() -> set[str]:
    """Names of the options that every command has."""

    def body(console: object) -> None:
        del console

    return set(inspect.signature(with_shared(body)).parameters)


def reference() -> str:
    """Every command: what it does, its arguments and options."""
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # a group
    always = shared()
    texts = [_section(name, commands[name], always) for names in GROUPS.values() for name in names]
    first = commands["check"]
    rows = [_row(parameter) for parameter in first.params if parameter.name in always]
    common = ["All commands have these:", "", *_table(rows)]
    return "\n".join([BEGIN, "", *common, "", *texts, END])


def _section(name: str, command: Any, always: set[str]) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    told = "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)
    rows = [_row(parameter) for parameter in command.params if parameter.name not in always]
    arguments = [
        parameter for parameter in command.params if parameter.param_type_name == "argument"
    ]
    usage = " ".join(["abi", name, *map(_argument, arguments)])
    return "\n".join([f"### {name}", "", f"`{usage}`", "", told, "", *_table(rows), ""])


def _argument(parameter: Any) -> str:
    return parameter.metavar if parameter.required else f"[{parameter.metavar}]"


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return ["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)]


def _row(parameter: Any) -> tuple[str, str]:
    if parameter.param_type_name == "argument":
        return f"`{_escaped(_argument(parameter))}`", _escaped(parameter.help)
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else f" `{parameter.metavar}`"
    text = _escaped(parameter.help)
    if parameter.default not in (None, False, "") and not parameter.is_flag:
        text += f" By default {getattr(parameter.default, 'value', parameter.default)}."
    if parameter.envvar:
        text += f" `{parameter.envvar}`."
    return names + _escaped(value), text


def _escaped(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def placed(text: str) -> str:
    """A page with the reference of now between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{reference()}{after}"


if __name__ == "__main__":
    PAGE.write_text(placed(PAGE.read_text()))
