"""Entries of a file, which every reader makes: one per data set, or per row of points.

The readers of the formats differ in how they find the values of a variable; what is asked of them
(`Wanted`), what they return (`Entries`) and what makes a number acceptable is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from abi_cli.data.meanings import NO_PLACE, Meaning, Missing
from abi_cli.data.spelling import meant
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Variable, element_names

LABEL = "dataset"
"""The column, key or array that names the data sets."""

SAMPLE_STATS = "sample_stats"
"""The key or group of what is known of posteriors beside their draws."""


ROW_NAMES = ("", "Unnamed: 0")
"""The names that R and pandas give the column of row numbers that they add: it is passed over."""


@dataclass(frozen=True)
class Naming:
    """Names in files of real data for what a model calls otherwise.

    Arguments:
        dataset: What names the data sets.
        columns: Variable → its name in files, or the names of its elements.
        categories: Variable → the words that stand for 0, 1, ….
        missing: What stands for a missing value.
        prepare: Variable → what is done with it in each data set before anything else.
        times: Series → what its steps are put in order by.
    """

    dataset: str = LABEL
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Missing = field(default_factory=Missing)
    prepare: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, names: Iterable[str]) -> list[str]:
        """Names of a file in the words of a model whose shapes are not known yet.

        Several columns of one variable are its elements.
        """
        own = {self.dataset: LABEL}
        for variable, columns in self.columns.items():
            event = (len(columns),) if len(columns) > 1 else ()
            own |= zip(columns, element_names(variable, event), strict=True)
        return [own.get(name, name) for name in names]


@dataclass(frozen=True)
class Asked:
    """Variables that are asked for before their shapes are known.

    Arguments:
        names: Those that are looked for; a file may have others.
        ragged: Sets and series, whose events are their members.
        naming: How the file may call things otherwise.
    """

    names: Collection[str] = ()
    ragged: Collection[str] = ()
    naming: Naming = field(default_factory=Naming)


@dataclass(frozen=True)
class Wanted:
    """The variables that are looked for in a file.

    Arguments:
        required: Their absence is an error.
        optional: Read where they are there.
        naming: Other names that they may have there.
    """

    required: tuple[Variable, ...]
    optional: tuple[Variable, ...]
    naming: Naming = Naming()

    def translated(
        self, names: Sequence[str], *, spell: Callable[[Variable], tuple[str, ...]], place: str
    ) -> list[str]:
        """The names of a file in the words of the model; those that mean nothing to it as they are.

        Arguments:
            names: What the file has.
            spell: A variable's names in this format.
            place: The file.

        Errors:
            DataError: The file has a variable under both of its names.
        """
        own = {self.naming.dataset: LABEL}
        for variable in (*self.required, *self.optional):
            others = self.naming.columns.get(variable.name, ())
            if len(others) == len(spell(variable)):
                own |= zip(others, spell(variable), strict=True)
        translated = [own.get(name, name) for name in names]
        for name, ours in zip(names, translated, strict=True):
            if name != ours and ours in names and own.get(ours, ours) == ours:
                raise DataError(
                    f"expected {name} or {ours}, which the spec says are the same; got both",
                    place=place,
                    hint="Leave one of them out, or change `data:` in the spec of the run.",
                )
        return translated

    def meanings(self, spell: Callable[[Variable], tuple[str, ...]]) -> dict[str, Meaning]:
        """The meanings of cells, beside numbers, by name in this format."""
        naming, times = self.naming, set(self.naming.times.values())
        ordering = {v.name for v in self.optional if v.name in times}  # only their order counts
        return {
            name: Meaning(
                words={w: i for i, w in enumerate(naming.categories.get(variable.name, ()))},
                missing=naming.missing,
                gaps=variable.missing,
                dates=variable.name in ordering,
                variable=variable.name,
            )
            for variable in (*self.required, *self.optional)
            for name in spell(variable)
        }

    def checked(
        self, values: np.ndarray, variable: Variable, place: Callable[[tuple[int, ...]], str]
    ) -> np.ndarray:
        """The values after `check_numbers`, of which some stand for a missing one.

        Errors:
            DataError: As `check_numbers`; such a number where no value may be missing.
        """
        gone = self.naming.missing.among(values)
        if not gone.any():
            return check_numbers(values, variable, place)
        if not variable.missing:
            at = _first(gone)
            raise DataError(
                f"expected a number; got {values[at]:g}, which `data:` says is a missing value",
                place=place(at),
                hint=f"Fill it in, or leave the row out. Where {variable.name} may be missing, the "
                f"spec that is trained says so: `missing: {{{variable.name}: 0.1}}`.",
            )
        return check_numbers(np.where(gone, np.nan, values), variable, place)

    def found(
        self,
        names: Sequence[str],
        *,
        noun: str,
        spell: Callable[[Variable], tuple[str, ...]],
        place: str,
    ) -> tuple[Variable, ...]:
        """The variables that the file has.

        Arguments:
            names: What the file has, spelled as in the file.
            noun: What the format calls one of them: column, key, array.
            spell: A variable's names in this format; all of them or none must be there.
            place: The file.

        Errors:
            DataError: Required variables are missing, or a variable in part.
        """
        known = set(names)
        present = []
        missing = []
        for variable in (*self.required, *self.optional):
            absent = [name for name in spell(variable) if name not in known]
            if not absent:
                present.append(variable)
            elif variable in self.required or len(absent) < len(spell(variable)):
                missing += absent
        if missing:
            raise _missing(missing, names, noun=noun, place=place)
        return tuple(present)


def _missing(missing: list[str], names: Sequence[str], *, noun: str, place: str) -> DataError:
    wanted = f"{noun}s {listing(missing)}" if len(missing) > 1 else f"{noun} {missing[0]}"
    hint = f"Name what holds the values of {listing(missing)} so, or add it."
    for name in missing:
        if found := meant(name, names):
            hint = f"Did you mean {found}? Rename it to {name}."
            break
    return DataError(
        f"expected the {wanted}; got {listing(names) or 'none'}", place=place, hint=hint
    )


Cell = Callable[[str, tuple[int, ...]], str]
"""A function from a variable's name and the index of a number in its array to a place in a file."""


@dataclass(frozen=True)
class Entries:
    """The entries that were read, one per data set or per row of points.

    Arguments:
        labels: The label of each entry; None where the file has none.
        values: Variable name → `(entry, *event)` or a `Ragged`; finite, whole where they must be.
        unused: Names in the file that no variable answers to.
        noun: What the format calls such a name: column, key, array.
        place: Where an entry begins, such as `data.csv, row 3`.
        cell: Where a number is: that of a variable at an index of its array, `array_of(value)`.
        notes: What was understood that was not written so.
    """

    labels: tuple[str, ...] | None
    values: Datasets
    unused: tuple[str, ...]
    noun: str
    place: Callable[[int], str]
    cell: Cell
    notes: tuple[str, ...] = ()


def check_numbers(
    values: np.ndarray, variable: Variable, place: Callable[[tuple[int, ...]], str]
) -> np.ndarray:
    """The `values` as the model needs them: finite, float64, or int64 where they are whole numbers.

    NaN stays where values of the variable may be missing.

    Arguments:
        values: Numbers of any kind, any shape.
        variable: Whose values they are.
        place: Where the value of an index of `values` stands in the file.

    Errors:
        DataError: A value is missing or infinite, or not whole where the model has whole numbers.
    """
    gaps = np.isnan(values) if variable.missing else np.zeros(values.shape, dtype=bool)
    finite = np.isfinite(values) | gaps
    if not finite.all():
        at = _first(~finite)
        missing = bool(np.isnan(values[at]))
        raise DataError(
            "expected a number; got a missing value (NaN)"
            if missing
            else f"expected a finite number; got {values[at]}",
            place=place(at),
            hint=NO_PLACE if missing else None,
        )
    if not variable.integer or gaps.any():
        return values.astype(np.float64)
    with np.errstate(invalid="ignore"):  # beyond int64: found by the comparison
        whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        at = _first(whole != values)
        raise DataError(
            f"expected a whole number, as {variable.name} is in the model; got {values[at]}",
            place=place(at),
        )
    return whole


def check_labels(labels: Sequence[str], place: Callable[[int], str]) -> None:
    """Refuse labels that can't be written: file names may hold bytes that are no text.

    Errors:
        DataError: There is one.
    """
    try:
        "".join(labels).encode()
    except UnicodeEncodeError:
        for row, label in enumerate(labels):
            try:
                label.encode()
            except UnicodeEncodeError as error:
                raise DataError(half_character(error), place=place(row)) from None


def half_character(error: UnicodeEncodeError) -> str:
    """The fault of text for which UTF-8 has no place, as a message."""
    return f"expected text; got half of a surrogate pair, {error.object[error.start]!a}"


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def listing(names: Iterable[str], *, most: int = 8) -> str:
    """The names in a sentence: `a, b, c and 12 more`."""
    names = list(names)
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
