"""The pages that ship with the package, longer than a command's help.

Any file `abi_cli/pages/TOPIC.md` is a page, shown by `abi explain TOPIC`. Its first line is its
title; links to other pages are relative, as Markdown readers follow them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

_FOLDER = files("abi_cli") / "pages"
_KIND = ".md"


@dataclass(frozen=True)
class Page:
    """A page.

    Arguments:
        topic: What `abi explain` calls it: the name of its file.
        title: Its first line.
        text: All of it, Markdown.
    """

    topic: str
    title: str
    text: str


def topics() -> tuple[str, ...]:
    """The names of all pages, in alphabetical order."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_KIND) for name in names if name.endswith(_KIND)))


def page(topic: str) -> Page:
    """The page on a topic, one of `topics()`."""
    text = (_FOLDER / f"{topic}{_KIND}").read_text(encoding="utf-8")
    return Page(topic, text.partition("\n")[0].removeprefix("# "), text)


def pages() -> list[Page]:
    """All pages."""
    return [page(topic) for topic in topics()]
