"""Data sets a batch at a time, as they come: any number of them, never all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from abi_cli.data import formats
from abi_cli.data.datasets import Loaded, loaded_of, wanted_of
from abi_cli.data.entries import Entries, Naming
from abi_cli.data.files import Source
from abi_cli.data.several import Part
from abi_cli.errors import DataError
from abi_cli.variables import Layout, count

DATASETS = 256
"""Number of data sets of a batch: as many as networks summarize at once."""


def can_stream(part: Part, *, grouped: bool) -> bool:
    """True if a file's format can be read batch by batch.

    Errors:
        UsageError: No such format; `grouped`, and it is none whose rows come in groups.
    """
    if grouped:
        formats.for_reading(part.source, None, lambda codec: codec.groups)
        return True
    name = formats.sniff(part.source)
    return any(codec.name == name and codec.streams for codec in formats.FORMATS)


def read_batches(part: Part, layout: Layout, *, naming: Naming | None = None) -> Iterator[Loaded]:
    """Read data sets for posteriors, as `read_datasets` does, some at a time.

    Arguments:
        part: A file of a format that comes so: see `can_stream`.

    Errors:
        DataError: The file is not there, or not data of this model; a data set comes again.
    """
    naming = naming or Naming()
    place_of: dict[str, str] = {}
    labelled: bool | None = None
    with formats.opened(part.source) as file:
        for entries in file.batches(wanted_of(layout, naming), DATASETS):
            if labelled is None:
                labelled = entries.labels is not None
            entries = _labelled(entries, place_of, labelled=labelled)
            yield loaded_of(entries, layout, naming, Source(part.source))


def _labelled(entries: Entries, place_of: dict[str, str], *, labelled: bool) -> Entries:
    """A batch with labels that no batch before it has; `place_of` keeps the places of labels."""
    if (entries.labels is not None) is not labelled:
        expected = "a label" if labelled else "no label"
        raise DataError(f"expected {expected}, as in those before", place=entries.place(0))
    first = len(place_of)
    labels = entries.labels or tuple(str(first + i) for i in range(count(entries.values)))
    for i, label in enumerate(labels):
        if label in place_of:
            raise DataError(
                f"expected each data set once; got {label} here and in {place_of[label]}",
                place=entries.place(i),
                hint="With --grouped the rows of a data set follow each other: leave it out to "
                "have them put together."
                if entries.noun == "column"
                else None,
            )
        place_of[label] = entries.place(i)
    return replace(entries, labels=labels)
