"""Two streams: what was asked for goes to standard output, everything else to standard error."""

from __future__ import annotations

import errno
import json
import math
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from abi_cli import memory
from abi_cli.digits import duration
from abi_cli.errors import AbiError, UserFunctionError
from abi_cli.harmless import described, shown
from abi_cli.listener import Listener, Progress

if TYPE_CHECKING:
    import rich.console

    from abi_cli.console.progress import Display

_PIPE_WIDTH = 160
"""Columns that a table may take where nobody says how wide the page is."""


_READABLE = 120
"""Columns that a page of text takes at most."""


class Console(Listener):
    """The place that a command's results, progress and errors go to.

    Arguments:
        progress: `auto` (a bar on a terminal, else lines), `plain`, `json` or `none`.
        json: Results as JSON documents instead of tables.
        quiet: Nothing but errors on standard error.
        verbose: Time and memory at the end.
        traceback: Python's traceback with every error.
    """

    def __init__(
        self,
        *,
        progress: str = "auto",
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        traceback: bool = False,
    ):
        self.json = json
        self._progress = "none" if quiet else progress
        self._quiet, self._verbose, self._traceback = quiet, verbose, traceback
        self._begun = time.perf_counter()

    @property
    def interactive(self) -> bool:
        """True if somebody looks at standard output."""
        return sys.stdout.isatty()

    @cached_property
    def _out(self) -> rich.console.Console:
        from rich.console import Console as Rich

        class Piped(Rich):
            def on_broken_pipe(self) -> None:  # by itself it would end the process
                raise BrokenPipeError

        return Piped(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)

    @cached_property
    def _err(self) -> rich.console.Console:
        from rich.console import Console as Rich

        return Rich(stderr=True, highlight=False)

    @cached_property
    def _display(self) -> Display:
        from abi_cli.console import progress

        style = self._progress
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "plain"
        return progress.DISPLAYS[style](self._err)

    def say(self, text: str, *, style: str = "") -> None:
        """Write a line to whoever started this, unless they want quiet."""
        if not self._quiet:
            self._err.print(shown(text), style=style, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Write something worth knowing, on standard error."""
        self._tell("note", text)

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Warn on standard error of something that may not be what was meant."""
        self._tell("warning", f"{text}\n{hint}" if hint else text)

    def _tell(self, event: str, text: str) -> None:
        if self._quiet:
            return
        if self._progress == "json":
            self._event(event, text=text)
            return
        style = {"note": "dim", "warning": "yellow", "stopped": "bold"}[event]
        self._labelled(event, text, style=style)

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """Show a piece of work in the way that was asked for."""
        if self._progress == "none":
            with super().task(title, total, unit) as silent:
                yield silent
        else:
            with self._display.task(title, total, unit) as shown:
                yield shown

    def error(self, error: AbiError) -> None:
        """Say what went wrong and what to do about it."""
        if self._traceback:
            traceback.print_exception(error)
        if self._progress == "json":
            self._event("error", text=str(error), code=error.exit_code)
            return
        message = f"{error.place}: {error.message}" if error.place else error.message
        self._labelled("error", message, style="bold red")
        if isinstance(error, UserFunctionError):
            for frame in error.frames:
                frame = shown(frame.rstrip("\n"))
                self._err.print(frame, style="dim", markup=False, soft_wrap=True)
        if error.hint:
            self._labelled("hint", error.hint, style="cyan")

    def failure(self, error: OSError) -> None:
        """Report an operating system's refusal that nobody foresaw."""
        hint = "Look at free space, permissions and open-file limits."
        if error.errno == errno.ENAMETOOLONG:
            hint = "Name it shorter: most file systems take 255 bytes of a name."
        where = None if error.filename is None else str(error.filename)
        self.error(AbiError(error.strerror or str(error), hint=hint, place=where))

    def bug(self, error: Exception) -> None:
        """Report an error of abi's own."""
        hint = "Please report it, with what the same command prints with --traceback."
        self.error(AbiError(f"this is a bug in abi: {described(error)}", hint=hint))
        if self._traceback:
            traceback.print_exception(error)

    def stopped(self, how: str) -> None:
        """Say that a signal ended the command."""
        self._tell("stopped", how)

    def farewell(self) -> None:
        """Write time and memory at the end of a command, with -v."""
        if not self._verbose:
            return
        seconds = duration(time.perf_counter() - self._begun)
        self.note(f"{seconds} in all, at most {memory.peak() / 2**20:.0f} MiB of memory")

    def _labelled(self, label: str, text: str, *, style: str) -> None:
        from rich.text import Text

        self._err.print(Text.assemble((f"{label}: ", style), shown(text)), soft_wrap=True)

    def _event(self, event: str, **fields: object) -> None:
        sys.stderr.write(to_json({"event": event, **fields}) + "\n")

    def document(self, schema: str, content: Mapping[str, Any]) -> None:
        """Write a JSON document to standard output; what is not a finite number becomes null."""
        sys.stdout.write(document_text(schema, content))

    def heading(self, text: str) -> None:
        """Write a line above a table, on standard output."""
        self._out.print(shown(text), style="bold", markup=False, soft_wrap=True)

    def text(self, text: str) -> None:
        """Write a line on standard output."""
        self._out.print(shown(text), markup=False, soft_wrap=True)

    def markdown(self, text: str) -> None:
        """Write Markdown on standard output: laid out on a terminal, as it is in a pipe."""
        if not self.interactive:
            sys.stdout.write(text)
            return
        from rich.markdown import Markdown

        width = min(self._out.width, _READABLE)
        self._out.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False), width=width)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table on standard output: numbers to the right, words to the left."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            cells = [row[index] for row in rows if row[index]]
            numeric = bool(cells) and all(_is_number(cell) for cell in cells)
            table.add_column(
                Text(_on_a_line(column)),
                justify="right" if numeric else "left",
                no_wrap=numeric,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(_on_a_line(cell)) for cell in row))
        with self._out.capture() as captured:
            self._out.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def facts(self, facts: Mapping[str, str], *, aside: bool = False) -> None:
        """Write names and what they stand for, one a line; further lines below the first.

        Arguments:
            aside: On standard error, as a receipt is.
        """
        from rich.text import Text

        if aside and self._quiet:
            return
        width = max(map(len, facts))
        for name, value in facts.items():
            below = shown(value).replace("\n", "\n" + " " * (width + 2))
            line = Text.assemble((name.ljust(width), "bold"), f"  {below}")
            (self._err if aside else self._out).print(line, soft_wrap=True)


def _on_a_line(text: str) -> str:
    """The text for a cell, on one line: more lines could look like another row."""
    return shown(text).replace("\n", "\\n")


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace("−", "-").removesuffix("%"))
    except ValueError:
        return False
    return True


def document_text(schema: str, content: Mapping[str, Any]) -> str:
    """A JSON document that names its schema and version."""
    return to_json({"schema": f"abi.{schema}/1", **content}, indent=2) + "\n"


def to_json(content: Any, *, indent: int | None = None) -> str:
    """The content as JSON that every reader takes: what is not a finite number becomes null."""
    return json.dumps(_finite(content), indent=indent, ensure_ascii=False)


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content
