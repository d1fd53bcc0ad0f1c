"""Data sets that networks can't take, refused by the place in their file that is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from abi_cli.adapter.adapter import INFERENCE_VARIABLES
from abi_cli.adapter.step import AdapterError
from abi_cli.data import Loaded
from abi_cli.data.entries import listing
from abi_cli.errors import DataError, RunError, Unanswerable
from abi_cli.run import Run
from abi_cli.variables import Layout, Ragged, Variable, array_of, take


@contextmanager
def refusing(loaded: Loaded, layout: Layout, *, of: np.ndarray | None = None) -> Iterator[None]:
    """A context in which refusals of data sets name file, row and column.

    Arguments:
        loaded: The data sets that posteriors are asked of inside.
        of: Which data set each row that is asked of is, `(row,)`; all in order by default.

    Errors:
        DataError: A step, or single precision, has no place for a value; a posterior is not finite.
    """
    try:
        yield
    except Unanswerable as error:
        rows = np.array(error.rows) if of is None else of[list(error.rows)]
        raise _refused(loaded, layout, list(dict.fromkeys(rows.tolist()))) from None
    except AdapterError as error:
        if error.variable == INFERENCE_VARIABLES:
            raise
        # The spec was in order when the run was trained: what does not fit now is the data's.
        if error.row is None:
            raise DataError(error.message, place=loaded.place(0), hint=error.hint) from None
        row = error.row if of is None else int(of[error.row])
        raise _unfit(loaded, layout, error, row) from None


def _refused(loaded: Loaded, layout: Layout, rows: list[int]) -> DataError:
    """The error for data sets whose posteriors are not finite, by the oddest value of the first."""
    row = rows[0]
    label = loaded.labels[row]
    more = [loaded.labels[other] for other in rows[1:]]
    also = f"; so has {listing(more)}" if len(more) == 1 else f"; so have {listing(more)}"
    nothing = f"data set {label} has no posterior of finite numbers{also if more else ''}"
    found = _farthest(loaded, layout, row)
    if found is None:
        return DataError(
            nothing,
            place=loaded.place(row),
            hint="Leave it out, or train longer: its values are within those simulated.",
        )
    variable, at, value = found
    return DataError(
        f"expected a number like those simulated, {variable.low:.6g} to {variable.high:.6g}; "
        f"got {value:.6g}: {nothing}",
        place=loaded.cell(variable.name, at),
        hint="If it stands for a missing value, write an empty cell or NA where the spec has "
        f"`missing: {{{variable.name}: …}}`; else correct it, or leave the data set out.",
    )


def _unfit(loaded: Loaded, layout: Layout, error: AdapterError, row: int) -> DataError:
    """The error for a data set that the adapter can't take."""
    found = _farthest(loaded, layout, row)
    place = loaded.place(row) if found is None else loaded.cell(found[0].name, found[1])
    said = error.message.replace(f"in data set {error.row}", f"in data set {loaded.labels[row]}")
    where = f" ({error.place})" if error.place else ""
    return DataError(f"{said[0].lower()}{said[1:]}{where}", place=place, hint=error.hint)


def _farthest(
    loaded: Loaded, layout: Layout, row: int
) -> tuple[Variable, tuple[int, ...], float] | None:
    """The number of a data set that is farthest out of what was simulated, and where it is.

    Distances are in widths of the simulated range; None where all are within it.
    """
    best, found = 0.0, None
    for variable in layout.of("context", "given", "observable"):
        if variable.name not in loaded.datasets or variable.low is None or variable.high is None:
            continue
        value = loaded.datasets[variable.name]
        numbers = array_of(take({"": value}, np.array([row]))[""]).astype(np.float64)
        width = (variable.high - variable.low) or max(1.0, abs(variable.low))
        with np.errstate(over="ignore"):
            out = np.maximum(variable.low - numbers, numbers - variable.high) / width
        out = np.where(np.isnan(out), 0.0, out)
        if out.size and out.max() > best:
            best = float(out.max())
            within, *event = np.unravel_index(int(out.argmax()), out.shape)
            first = int(value.starts()[row]) if isinstance(value, Ragged) else row
            at = (first + int(within), *map(int, event))
            found = variable, at, float(array_of(value)[at])
    return found


@contextmanager
def blaming_the_run(run: Run, *, data: Path | None = None) -> Iterator[None]:
    """A context of simulated data sets, which blames the run for posteriors that are not finite.

    Arguments:
        data: The file that the data sets are from; None where the run's own model made them.

    Errors:
        RunError: One is not.
        DataError: One is not, or a step has no place for a value, and the file is to blame.
    """
    try:
        yield
    except (Unanswerable, AdapterError) as error:
        if data is not None:
            raise DataError(error.message, place=str(data), hint=error.hint) from None
        if isinstance(error, AdapterError):
            raise
        raise RunError(
            f"{run.path}: {error.message}, though it was simulated by the run's own model",
            hint="Train it longer, or again with --force.",
        ) from None
