"""Draws in and out, in any format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from abi_cli.data import formats
from abi_cli.data.draws import DrawHeader, Draws
from abi_cli.data.files import Source, output, output_errors, scratch_folder
from abi_cli.variables import DrawBlock


class DrawWriter:
    """Takes blocks of draws in order, as `open_draws` hands it out."""

    def __init__(
        self, append: Callable[[DrawBlock], None], header: DrawHeader, target: Path | None
    ):
        self._append = append
        self._header = header
        self._target = target
        self._next = (0, 0)

    def write(self, block: DrawBlock) -> None:
        """Append a block.

        Errors:
            ValueError: It isn't the next one.
            OutputError: The file can't be written.
        """
        first = (block.first_dataset, block.first_draw)
        datasets, draws = block.shape
        last = block.first_draw + draws
        if first != self._next or last > self._header.draws or (datasets > 1 and last != draws):
            raise ValueError(f"Expected the block of draws at {self._next}; got {first}")
        whole = last == self._header.draws
        self._next = (block.first_dataset + datasets, 0) if whole else (block.first_dataset, last)
        with output_errors(self._target):
            self._append(block)

    def check_complete(self) -> None:
        """Refuse to end early.

        Errors:
            ValueError: Draws are missing.
        """
        end = (len(self._header.labels), 0)
        if self._next != end:
            raise ValueError(f"Expected blocks of draws up to {end}; got them up to {self._next}")


@contextmanager
def open_draws(
    target: Path | None, header: DrawHeader, *, format: str | None = None, long: bool = False
) -> Iterator[DrawWriter]:
    """A writer of draws; the file appears when the context ends well, whole, or not at all.

    Arguments:
        target: None is standard output.
        header: What is known beforehand.
        format: A format's name; by default that of the extension, CSV for standard output.
        long: A row for each element of a draw, in a table.

    Errors:
        UsageError: No such format.
        OutputError: The file can't be written.
    """
    write = formats.choose(
        target, format, lambda fmt: fmt.write_long_draws if long else fmt.write_draws
    )
    with output(target) as stream, ExitStack() as stack:
        with output_errors(target):
            append = stack.enter_context(write(stream, header, scratch_folder(target)))
        writer = DrawWriter(append, header, target)
        yield writer
        writer.check_complete()
        with output_errors(target):
            stack.close()


def read_kind(source: Path | None, *, format: str | None = None) -> str:
    """What a file of ours, or like ours, holds: see `formats.Format`.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or is damaged.
    """
    return formats.choose_reader(source, format, lambda fmt: fmt.read_kind)(Source(source))


def read_draws(source: Path | None, *, format: str | None = None) -> Draws:
    """Draws of a file that we wrote, in memory.

    Arguments:
        source: None is standard input.
        format: A format's name; by default that of the extension, CSV for standard input.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or holds no draws.
    """
    return formats.choose_reader(source, format, lambda fmt: fmt.read_draws)(Source(source))
