"""The language of specs on the screen: its parts, and explanations of its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from abi_cli.console.terminal import Console

if TYPE_CHECKING:
    from abi_cli.workflow.explaining import CodeDescription, PartDescription
    from abi_cli.workflow.manual import Page

_TO_A_PAGE = re.compile(r"\[([^\]]*)\]\(([\w-]+)\.md(?:#[^)]*)?\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_TO_A_PLACE = re.compile(r"(?<!!)\[([^\]]*)\]\([^)]*\)")


def show_parts(console: Console, parts: Sequence[PartDescription]) -> None:
    """Show the vocabulary of specs."""
    if console.json:
        console.document("parts", {"parts": [asdict(part) for part in parts]})
        return
    width = max(len(part.name) for part in parts)
    kind = ""
    for part in parts:
        if part.kind != kind:
            if kind:
                console.text("")
            kind = part.kind
            console.heading(f"{kind}s")
        console.text(f"  {part.name:<{width}}  {part.help.splitlines()[0]}")
    console.text("\nabi explain NAME tells the options of each, with an example.")


def show_pages(console: Console, pages: Sequence[Page]) -> None:
    """Show the topics that there are pages on."""
    if console.json:
        topics = [{"topic": page.topic, "title": page.title} for page in pages]
        console.document("pages", {"pages": topics})
        return
    width = max(len(page.topic) for page in pages)
    for page in pages:
        console.text(f"{page.topic:<{width}}  {page.title}")
    console.text("\nabi explain TOPIC shows a page; abi list has the names of steps, networks, ….")


def _show_page(console: Console, page: Page) -> None:
    if console.json:
        console.document("page", asdict(page))
    elif console.interactive:
        console.markdown(_followed(page.text))
    else:
        console.markdown(page.text)


def _followed(text: str) -> str:
    """The text of a page for a terminal, where links are commands and pictures their captions."""
    text = _PICTURE.sub(r"(Picture: \1)", text)
    text = _TO_A_PAGE.sub(r"\1 (`abi explain \2`)", text)
    return _TO_A_PLACE.sub(r"\1", text)


def show_explanation(
    console: Console, found: Sequence[PartDescription] | CodeDescription | Page
) -> None:
    """Show a page, parts with their options, or the code of a problem, each with an example."""
    from abi_cli.workflow.manual import Page

    if isinstance(found, Page):
        _show_page(console, found)
        return
    if not isinstance(found, Sequence):
        _show_code(console, found)
        return
    if console.json:
        console.document("parts", {"parts": [asdict(part) for part in found]})
        return
    for number, part in enumerate(found):
        if number:
            console.text("")
        console.heading(f"{part.kind} {part.name}")
        console.text(_indented(part.help))
        if part.options:
            console.text("")
            rows = [
                (o.name, "must be given" if o.default is None else o.default, o.help)
                for o in part.options
            ]
            console.table(("option", "default", ""), rows)
        if part.example:
            console.text("\nFor example")
            console.text(_indented(part.example))


def _show_code(console: Console, found: CodeDescription) -> None:
    explanation = found.explanation
    if console.json:
        console.document("code", asdict(found))
        return
    console.heading(f"{found.code}: {explanation.title}")
    console.text(_indented(explanation.text))
    console.text("\nWrong")
    console.text(_indented(explanation.wrong))
    console.text("\nRight")
    console.text(_indented(explanation.right))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip("\n").splitlines())
