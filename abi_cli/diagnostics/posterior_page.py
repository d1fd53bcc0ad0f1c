"""One page about posteriors of real data: what can be said, and each data set by itself.

It needs no network and no script to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from abi_cli.diagnostics.inputs import Provenance
from abi_cli.diagnostics.page import Image, environment
from abi_cli.diagnostics.pictures import Picture
from abi_cli.diagnostics.predictive import Check

MOST_COLUMNS = 8
"""Most parameters side by side in the table of all data sets."""


class Tone(StrEnum):
    """The tone of a statement: its meaning for the reader, and its colour."""

    GOOD = "pass"
    WARNING = "warn"
    BAD = "fail"
    OPEN = "cannot"


@dataclass(frozen=True)
class Statement:
    """A statement on the posteriors.

    Arguments:
        title: In a few words.
        remedy: What to do about it, if anything.
    """

    tone: Tone
    title: str
    text: str
    remedy: str | None = None


Row = tuple[str, Mapping[str, float]]
"""Title of a parameter, its statistics."""


@dataclass(frozen=True)
class Moved:
    """A member of a set, left out.

    Arguments:
        place: Where it is in the file.
        shift: Of the parameter that moves most, in posterior sds; None where nobody can tell.
        what: That parameter; or why nobody can tell.
        density: Its log density given the others; None where that is not known.
        khat: Of that; above 0.7 it is not reliable.
    """

    place: str
    shift: float | None
    what: str
    density: float | None = None
    khat: float | None = None


@dataclass(frozen=True)
class Part:
    """A data set, in full.

    Arguments:
        rows: Its parameters.
        pictures: Of its posterior, and of its data beside replicated data.
        checks: Statistics of its data beside those of replicated data.
        moved: The members that its posterior depends on most.
        scored: How well its members are predicted, in a sentence; empty where that is not known.
    """

    label: str
    rows: Sequence[Row]
    pictures: Sequence[Picture]
    checks: Sequence[Check] = ()
    moved: Sequence[Moved] = ()
    scored: str = ""


@dataclass(frozen=True)
class Page:
    """The contents of the page.

    Arguments:
        statements: What can be said, what matters most first.
        overview: Pictures of all data sets together.
        columns: Names of the parameters of `table`.
        table: Label of a data set → an interval for each of them.
        parts: The data sets that are shown in full.
        remark: Which these are, where they are not all.
        methods: For a paper.
        source: Where it comes from.
    """

    title: str
    statements: Sequence[Statement]
    overview: Sequence[Picture]
    columns: Sequence[str]
    table: Sequence[tuple[str, Sequence[Mapping[str, float]]]]
    parts: Sequence[Part]
    methods: str
    source: Provenance
    remark: str = ""
    references: Sequence[str] = field(default_factory=tuple)

    @property
    def long(self) -> bool:
        """True if parameters of `table` are too many to stand side by side."""
        return len(self.columns) > MOST_COLUMNS


def page_text(page: Page, images: Mapping[int, Image]) -> str:
    """The page.

    Arguments:
        images: Number of a picture, by `id`, → what it looks like.
    """
    template = environment().get_template("posteriors.html.j2")
    return template.render(page=page, images=images, number=id)
