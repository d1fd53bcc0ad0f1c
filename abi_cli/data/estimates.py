"""Point estimates of parameters: of networks that give nothing else, or of draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from abi_cli.data import formats
from abi_cli.data.draws import USUAL_STYLE, DrawHeader, Estimates, Style, whole_datasets
from abi_cli.data.entries import LABEL
from abi_cli.data.files import Source, output, output_errors
from abi_cli.data.long_tables import DRAW, PARAMETER
from abi_cli.data.statistics import statistics
from abi_cli.data.summary import Summary
from abi_cli.data.tables import check_header
from abi_cli.data.text_rows import rows_of
from abi_cli.errors import DataError
from abi_cli.harmless import label
from abi_cli.variables import DrawBlock

OF_DRAWS = ("mean", "sd", "q5", "median", "q95")
"""What is estimated of draws: mean, standard deviation (n − 1) and quantiles."""


def estimates_of(
    header: DrawHeader, blocks: Iterable[DrawBlock], names: Sequence[str] = OF_DRAWS
) -> Iterator[Estimates]:
    """Statistics of draws, block after block, so that the draws are never all in memory.

    Arguments:
        names: See `statistics`.
    """
    for draws in whole_datasets(header, blocks):
        values = {
            name: np.stack(statistics(value, names), axis=1).astype(np.float32)
            for name, value in draws.values.items()
        }
        yield Estimates(draws.labels, tuple(names), values)


def joined(parts: Iterable[Estimates]) -> Estimates:
    """Those of all data sets together."""
    parts = list(parts)
    first = parts[0]
    return Estimates(
        tuple(label for part in parts for label in part.labels),
        first.names,
        {name: np.concatenate([part.values[name] for part in parts]) for name in first.values},
    )


def read_estimates(source: Path | None) -> Summary | None:
    """Estimates of a table as `write_estimates` leaves it; None where the file is something else.

    Errors:
        DataError: The file can't be read, or a cell is no number.
    """
    file = Source(source)
    name = formats.sniff(source)
    if name not in ("csv", "tsv"):
        return None
    known = set(formats.first_line(source, name))
    if {PARAMETER, LABEL} - known:
        return None
    if DRAW in known:
        raise DataError(
            "expected draws with a column for each parameter; got a long table",
            place=str(file),
            hint="abi sample writes them so without --long.",
        )
    cells: dict[tuple[str, str], list[float]] = {}
    rows = 0
    with rows_of(file, "," if name == "csv" else "\t") as lines:
        header = next(filter(any, lines), [])
        check_header(header, file)
        names = [column for column in header if column not in (PARAMETER, LABEL)]
        for rows, line in enumerate(filter(any, lines), start=1):
            try:
                row = dict(zip(header, line, strict=True))
                own = [float(row[column]) for column in names]
                cells[label(row[LABEL]), label(row[PARAMETER])] = own
            except (KeyError, ValueError):
                raise DataError(
                    "expected a number in every column", place=f"{file}, row {rows + 1}"
                ) from None
    labels = tuple(dict.fromkeys(name for name, _ in cells))
    elements = tuple(dict.fromkeys(element for _, element in cells))
    if len(cells) != rows or len(cells) != len(labels) * len(elements) or not names:
        raise DataError("expected each parameter of each data set once", place=str(file))
    table = np.array([[cells[name, element] for element in elements] for name in labels])
    return Summary(labels, elements, {name: table[..., k] for k, name in enumerate(names)})


def write_estimates(
    target: Path | None,
    names: Sequence[str],
    parts: Iterable[Estimates],
    *,
    format: str | None,
    style: Style = USUAL_STYLE,
) -> int:
    """Write a file, which appears whole.

    Arguments:
        target: None is standard output.
        names: Of what is estimated.
        parts: Some data sets at a time.
        format: A format's name; by default that of the extension, CSV for standard output.

    Returns:
        How many data sets there were.

    Errors:
        UsageError: No such format, or one that has no place for estimates.
        OutputError: The file can't be written.
    """
    write = formats.choose(target, format, lambda fmt: fmt.write_estimates)
    datasets = 0
    with output(target) as stream, ExitStack() as stack:
        with output_errors(target):
            append = stack.enter_context(write(stream, names, style))
        for part in parts:
            with output_errors(target):
                append(part)
            datasets += len(part.labels)
        with output_errors(target):
            stack.close()
    return datasets
