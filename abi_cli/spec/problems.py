"""Problems of a spec, and how they are shown.

A reader of a spec never stops at the first mistake: every stage collects `Problem`s, and one
`InvalidSpecError` carries them all. A problem knows its place in the text that it came from, be it
the file or the argument of an override, and shows it:

    E103: unknown option 'uper' of constrain
      --> regression.yaml:13:31
       |
    13 |   - constrain: {keys: sigma, uper: 0}
       |                              ^^^^
       = Did you mean 'upper'? Options: keys, lower, method, upper
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from abi_cli.digits import plural
from abi_cli.errors import SpecError
from abi_cli.harmless import shown, to_type

Path = tuple[str | int, ...]
"""Place of a value in the tree of a spec: `("adapter", 3, "standardize", "exclude")`."""

MOST_SHOWN = 20
"""Most problems shown at once; a file with more has one cause, found among the first."""

WIDEST_LINE = 96
"""Most characters of a source line that are shown."""


class Code(StrEnum):
    """The kind of a problem, by a number that stays the same over versions."""

    SYNTAX = "E101"
    """The text is not YAML."""
    KEY = "E102"
    """A key is given twice, or is not text."""
    FIELD = "E103"
    """No field or option has this name here."""
    PART = "E104"
    """No step, network, optimizer, schedule or callback can be read from this."""
    MISSING = "E105"
    """A field or option without a default is not given."""
    VALUE = "E106"
    """A value is of the wrong type or out of range, or contradicts another."""
    NAME = "E107"
    """A variable, a run or a function can't be named like this."""
    OVERRIDE = "E108"
    """An override doesn't say what to set, or there is nothing there to set."""
    CODE = "E109"
    """The spec would have code executed where none is."""
    STEP = "E201"
    """A step of the adapter can't take the variables that reach it, or something is lost."""
    MODEL = "E202"
    """The model draws other variables than the spec says."""
    NETWORK = "E203"
    """A network can't take what the adapter gives it."""
    TRAINING = "E204"
    """The training can't do what it is asked for."""


@dataclass(frozen=True)
class Source:
    """A text with a name, such as a file or the argument of an option."""

    name: str
    text: str

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()

    def line(self, number: int) -> str:
        """The line of this number (from 1), without its end."""
        return self._lines[number - 1] if number <= len(self._lines) else ""


@dataclass(frozen=True)
class Position:
    """A stretch of one line of a source.

    Arguments:
        source: The text.
        line, column: Of its first character, from 1.
        width: How many characters; 0 means the source as a whole.
    """

    source: Source
    line: int = 1
    column: int = 1
    width: int = 0

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def snippet(self) -> list[str]:
        """The line with carets below the stretch, in a gutter that tells its number."""
        text, start, width = _window(self.source.line(self.line), self.column - 1, self.width)
        gutter = " " * len(str(self.line))
        before, marked = text[:start], text[start : start + width]
        carets = " " * _columns(before) + "^" * max(1, _columns(marked))
        return [f"{gutter} |", f"{self.line} | {text}", f"{gutter} | {carets}"]


def _window(line: str, start: int, width: int) -> tuple[str, int, int]:
    """The part of a long line to show: text, where the marked stretch starts, its width."""
    line = line.replace("\t", " ").rstrip()
    line = "".join(c if c.isprintable() else "�" for c in line)  # nothing that steers a terminal
    if len(line) <= WIDEST_LINE:
        return line, start, width
    left = max(0, start - WIDEST_LINE // 3)
    shown = line[left : left + WIDEST_LINE]
    head, tail = "…" if left else "", "…" if left + WIDEST_LINE < len(line) else ""
    inside = start - left
    return head + shown + tail, inside + len(head), min(width, len(shown) - inside)


def _columns(text: str) -> int:
    """The number of terminal columns of a text: wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


@dataclass(frozen=True)
class Problem:
    """A problem of a spec.

    Arguments:
        path: The value or key that it is about.
        message: What was expected and what was found.
        hint: What to do about it.
        code: Its kind.
        position: Where that is written.
        notes: What else helps, such as other places.
    """

    path: Path
    message: str
    hint: str | None
    code: Code
    position: Position
    notes: tuple[str, ...] = ()

    def render(self) -> str:
        """The problem with the line that it is about, carets below the place, and the hint."""
        lines = [f"{self.code}: {self.message}"]
        gutter = " " * len(str(self.position.line))
        if self.position.width:
            lines += [f"{gutter}--> {self.position}", *self.position.snippet()]
        else:
            lines += [f"{gutter}--> {self.position.source.name}"]
        for remark in (*([self.hint] if self.hint else []), *self.notes):
            first, *more = remark.splitlines()
            lines += [f"{gutter} = {first}", *(f"{gutter}   {line}" for line in more)]
        return "\n".join(lines)

    def concise(self) -> str:
        """The problem in one line, `file:line:column: code message`, as editors parse it."""
        return shown(f"{self.position}: {self.code} {self.message}".replace("\n", " "))


class InvalidSpecError(SpecError):
    """All problems of a spec at once.

    Arguments:
        problems: In any order; at least one.
        name: Of the file, or of whatever the spec was read from.
    """

    def __init__(self, problems: Iterable[Problem], *, name: str):
        # An alias repeats the mistakes of its anchor: they are one where they are written.
        distinct = {(p.position, p.code, p.message): p for p in problems}.values()
        file_first = sorted(
            {p.position.source: None for p in distinct}, key=lambda s: s.name != name
        )

        def order(problem: Problem) -> tuple[int, int, int]:
            place = problem.position
            return file_first.index(place.source), place.line, place.column

        self.problems = tuple(sorted(distinct, key=order))
        shown = [problem.render() for problem in self.problems[:MOST_SHOWN]]
        count = len(self.problems)
        if count > MOST_SHOWN:
            shown.append(f"… and {count - MOST_SHOWN} more")
        shown.append(f"{to_type('abi', 'explain', self.problems[0].code)} tells more")
        head = f"{count} {plural('problem', count)} in {name}"
        super().__init__("\n\n".join([head, *shown]))


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a misspelt one was most likely meant to be."""
    by_lower_case = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def suggestion(word: str, known: Sequence[str], *, title: str) -> str:
    """A hint for a misspelt word: the nearest known one, then all of them under a title."""
    found = nearest(word, known)
    listing = f"{title}: {', '.join(known)}" if known else f"{title}: none"
    return f"Did you mean {found!r}? {listing}" if found else listing
