"""Point estimates of parameters: of networks that give nothing else, or of draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from abi_cli.data import formats
from abi_cli.data.draws import USUAL_STYLE, DrawHeader, Draws, Estimates, Style, whole_datasets
from abi_cli.data.files import Source, output, output_errors
from abi_cli.data.statistics import statistics
from abi_cli.data.summary import Summary
from abi_cli.errors import DataError
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


def read_answers(source: Path | None, *, format: str | None = None) -> Draws | Summary:
    """What a file holds of posteriors: draws, or estimates as `write_estimates` leaves them.

    Arguments:
        source: None is standard input.

    Errors:
        UsageError: No such format.
        DataError: The file can't be read, or holds neither.
    """
    file = Source(source).kept() if source is None else Source(source)
    begin = formats.sniff(source) if file.content is None else formats.sniffed(file.content)
    name = format or begin
    chosen = partial(formats.choose_reader, source, name)
    kind = chosen(lambda fmt: fmt.read_kind)(file)
    if kind == "long draws":
        raise DataError(
            "expected draws with a column for each parameter; got a long table",
            place=str(file),
            hint="abi sample writes them so without --long.",
        )
    if kind == "estimates":
        return chosen(lambda fmt: fmt.read_estimates)(file)
    return chosen(lambda fmt: fmt.read_draws)(file)


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
