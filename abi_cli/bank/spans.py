"""Ranges of rows: those wanted, those that are there, and the share of each machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from abi_cli.errors import UsageError

Span = tuple[int, int]
"""Rows start … stop − 1."""

STRIPES = 16
"""Number of spans of a machine's share, at most: each share has rows of every region."""


def length(spans: Iterable[Span]) -> int:
    """The number of rows in spans that do not overlap."""
    return sum(stop - start for start, stop in spans)


def without(wanted: Sequence[Span], there: Sequence[Span]) -> list[Span]:
    """The rest of spans when others are taken out.

    Arguments:
        there: Ascending.
    """
    left = []
    for start, stop in wanted:
        for begin, end in there:
            if end <= start:
                continue
            if begin >= stop:
                break
            if begin > start:
                left.append((start, begin))
            start = max(start, end)
        if start < stop:
            left.append((start, stop))
    return left


@dataclass(frozen=True)
class Share:
    """The share of one of several machines: part k of n, from 1 on."""

    part: int = 1
    parts: int = 1

    @classmethod
    def of(cls, text: str) -> Share:
        """The share that `--shard 3/20` means.

        Errors:
            UsageError: The text is not of that form.
        """
        part, _, parts = text.partition("/")
        if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            raise UsageError(f"expected --shard K/N with K from 1 to N; got {text}")
        return cls(int(part), int(parts))

    def of_rows(self, rows: int, *, unit: int) -> list[Span]:
        """The rows of this share, which are the same whatever is there already.

        The rows are cut into stripes, of which machine k takes every `parts`-th one.

        Arguments:
            rows: The number of rows of all machines.
            unit: Rows that are drawn from one stream, which no stripe divides.
        """
        if self.parts == 1:
            return [(0, rows)]
        stripe = -(-rows // (self.parts * STRIPES * unit)) * unit
        starts = range((self.part - 1) * stripe, rows, self.parts * stripe)
        return [(start, min(start + stripe, rows)) for start in starts]
