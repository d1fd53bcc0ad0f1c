"""Ranges of rows: what is wanted, what is there, what is whose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""Rows start … stop − 1."""

STRIPES = 16
"""Spans that each of several machines gets, at most: rows of every region, near equal numbers."""


def length(spans: Iterable[Span]) -> int:
    """How many rows they hold, none of which is in two of them."""
    return sum(stop - start for start, stop in spans)


def without(wanted: Sequence[Span], there: Sequence[Span]) -> list[Span]:
    """What is left of some spans when others are taken out.

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


def shared(rows: int, *, unit: int, part: int = 1, parts: int = 1) -> list[Span]:
    """The rows of one of several machines, which are the same whatever is there already.

    The rows are cut into stripes, of which machine k takes every `parts`-th one.

    Arguments:
        rows: Of all machines.
        unit: Rows that are drawn from one stream, which no stripe divides.
        part: Which machine, from 1 on.
    """
    if parts == 1:
        return [(0, rows)]
    stripe = -(-rows // (parts * STRIPES * unit)) * unit
    starts = range((part - 1) * stripe, rows, parts * stripe)
    return [(start, min(start + stripe, rows)) for start in starts]
