"""README and the pages of the manual as text: their commands, links, anchors, blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.cli import ROOT

README = ROOT / "README.md"
PAGES = sorted((ROOT / "abi_cli" / "pages").glob("*.md"))
DOCUMENTS = [README, *PAGES]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ABI = re.compile(r"(?:^|[|;] *|&& |then |else |\$ )(abi(?: [^|;<>#]*)?)")


def blocks(text: str, kind: str) -> list[str]:
    """What stands between fences of a kind: `console`, `yaml`, `python`."""
    return [body for found, body in _BLOCK.findall(text) if found == kind]


def lines(block: str) -> list[str]:
    """The commands of a console block: its lines after `$ ` if it has any, else all of them."""
    whole = block.replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ") for line in whole if line.startswith("$ ")]
    return [re.sub(r"\s+# .*", "", line) for line in typed or whole if line.strip()]


def calls(text: str) -> Iterator[list[str]]:
    """The words of every `abi …` in console blocks, without `abi`; pipes are taken apart."""
    for block in blocks(text, "console"):
        for line in lines(block):
            bare = re.sub(r"<\([^)]*\)|>\([^)]*\)|\$\?", "FILE", line)
            for call in _ABI.findall(bare):
                yield shlex.split(call)[1:]


def links(text: str) -> list[str]:
    """Targets of links and pictures, outside blocks."""
    return _LINK.findall(_BLOCK.sub("", text))


def anchors(path: Path) -> set[str]:
    """What headings are called in links, as GitHub does it."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
