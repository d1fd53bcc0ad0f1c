"""Objects of JSON, of whatever file: a data set each, or the draws of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.data.contents import Kind
from abi_cli.data.draws import Draws, Statistics, absent_in_part, as_float32
from abi_cli.data.entries import LABEL, Asked, Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.data.meanings import NO_PLACE, PLAIN, Meaning
from abi_cli.data.record_texts import EXPECTED, SCORES, Record, excerpt
from abi_cli.data.sheets import Block, Sheet
from abi_cli.data.statistics import gathered
from abi_cli.data.tables import Table
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Ragged, Variable, element_names


@dataclass(frozen=True)
class Records:
    """A file of objects, which are read once; see `contents.Carrier`.

    Arguments:
        objects: In order, perhaps as they come.
        may_be_rows: Whether they may be the rows of a table.
    """

    source: Source
    objects: Iterable[Record]
    may_be_rows: bool = False

    def kind(self) -> Kind:
        """The kind of content: estimates or data sets; not sure where lists don't tell."""
        sizes: set[int] = set()
        for _place, entry in self.objects:
            for value in map(entry.get, _drawn_in(entry)):
                if isinstance(value, dict):
                    return Kind.ESTIMATES
                sizes.add(len(value) if isinstance(value, list) else 0)
        if not sizes:
            raise self._nothing()
        return Kind.UNSURE if len(sizes) == 1 and 0 not in sizes else Kind.DATA

    def shapes(self, asked: Asked) -> dict[str, tuple[int, ...]]:
        """The event shapes of variables, by name, judging by the first object."""
        for _place, entry in self.objects:
            named = zip(asked.naming.renamed(entry), entry.values(), strict=True)
            shapes = {name: _shape_of(value) for name, value in named if name != LABEL}
            return {name: shape[int(name in asked.ragged) :] for name, shape in shapes.items()}
        raise self._nothing()

    def sets(self) -> set[str]:
        """The keys with members of sets or series: those whose lists vary in length."""
        sizes: dict[str, set[int]] = {}
        for _place, entry in self.objects:
            for name, value in entry.items():
                if isinstance(value, list):
                    sizes.setdefault(name, set()).add(len(value))
        return {name for name, found in sizes.items() if len(found) > 1}

    def entries(self, wanted: Wanted) -> Entries:
        """The entries, one per object: a data set, or a point.

        Objects without lists, where sets or series are looked for, are the rows of a table.

        Errors:
            DataError: An object lacks a key that the first one has, holds anything but
                numbers where a variable is, or numbers of another shape.
        """
        if self.may_be_rows and (objects := list(self.objects)) and _are_rows(objects, wanted):
            return Table(_sheet(objects, self.source)).entries(wanted)
        return _entries(self.objects, wanted, self.source)

    points = entries

    def batches(self, wanted: Wanted, datasets: int) -> Iterator[Entries]:
        """The entries of so many objects at a time, or of as many as have come when no more do."""
        empty = True
        for batch in self.source.batches(iter(self.objects), datasets):
            empty = False
            yield _entries(batch, wanted, self.source)
        if empty:
            raise self._nothing()

    def draws(self) -> Draws:
        """Draws as lists.

        Errors:
            DataError: As for data sets; a data set's draws have another shape than the first one's.
        """
        labels: list[str] = []
        values: dict[str, list[np.ndarray]] = {}
        for place, entry in self.objects:
            labels.append(_label(entry, place))
            for name in values or _drawn_in(entry):
                if name not in entry:
                    raise DataError(f"expected the key {name}, as in those before", place=place)
                draws = _draws(entry[name], f"{place}, {name}")
                others = values.setdefault(name, [])
                if others and draws.shape != others[0].shape:
                    raise DataError(
                        f"expected draws of shape {others[0].shape}, as in those before; "
                        f"got {draws.shape}",
                        place=f"{place}, {name}",
                    )
                others.append(draws)
        if not values:
            raise DataError("the file holds no draws", place=str(self.source))
        return Draws(tuple(labels), {name: np.stack(arrays) for name, arrays in values.items()})

    def estimates(self) -> Statistics:
        """Estimates by name.

        Errors:
            DataError: A parameter has anything but numbers by name, or lists of them.
        """
        places: list[str] = []

        def parsed() -> Iterator[tuple[str, str, dict[str, float]]]:
            for place, entry in self.objects:
                label = _label(entry, place)
                for parameter, found in entry.items():
                    if parameter == LABEL:
                        continue
                    if not isinstance(found, dict):
                        raise DataError(
                            f"expected estimates by name; got {excerpt(found)}",
                            place=f"{place}, {parameter}",
                        )
                    values = {
                        name: _numbers_in(value, f"{place}, {parameter}")
                        for name, value in found.items()
                    }
                    shape = next(iter(values.values())).shape if values else ()
                    for at, element in enumerate(element_names(parameter, shape)):
                        places.append(place)
                        yield label, element, {n: float(v.ravel()[at]) for n, v in values.items()}

        return gathered(
            parsed(), lambda row: places[row] if row < len(places) else str(self.source)
        )

    def _nothing(self) -> DataError:
        return DataError("there is no data set in it", place=str(self.source), hint=EXPECTED)


def _are_rows(objects: Sequence[Record], wanted: Wanted) -> bool:
    """True if objects are rows of a table: a set or series is looked for, and none has a list."""
    ragged = any(variable.ragged for variable in (*wanted.required, *wanted.optional))
    return ragged and not any(
        isinstance(value, list | dict) for _place, entry in objects for value in entry.values()
    )


def _sheet(objects: Sequence[Record], source: Source) -> Sheet:
    """The rows as a table; a row may lack what is missing, as R leaves it out."""
    header = list(dict.fromkeys(name for _place, entry in objects for name in entry))

    def cells(names: Sequence[str]) -> Iterator[Block]:
        columns = [[_text(entry.get(name)) for _place, entry in objects] for name in names]
        yield list(columns), np.arange(1, len(objects) + 1)

    return Sheet(source, header, cells)


def _text(value: Any) -> str:
    """The cell as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else repr(value)


def _entries(objects: Iterable[Record], wanted: Wanted, source: Source) -> Entries:
    variables: tuple[Variable, ...] | None = None
    labelled = False
    found: dict[str, list[np.ndarray]] = {}
    labels: list[str] = []
    places: list[str] = []
    keys: dict[str, None] = {}
    meanings = wanted.meanings(_spelled)
    for place, found_there in objects:
        own = wanted.translated(list(found_there), spell=_spelled, place=place)
        entry = dict(zip(own, found_there.values(), strict=True))
        for name in meanings.keys() & entry.keys():
            entry[name] = _in_numbers(entry[name], meanings[name])
        if variables is None:
            variables = wanted.found(list(entry), noun="key", spell=_spelled, place=place)
            labelled = LABEL in entry
        if labelled:
            labels.append(_label(entry, place))
        elif LABEL in entry:
            raise DataError(f"expected no {LABEL}, as in the first one", place=place)
        for variable in variables:
            array = _array(entry, variable, meanings[variable.name], place)
            found.setdefault(variable.name, []).append(array)
        places.append(place)
        keys |= dict.fromkeys(entry)
    if variables is None:
        raise DataError("there is no data set in it", place=str(source), hint=EXPECTED)

    used = {LABEL, *found}
    values: Datasets = {
        variable.name: _joined(found[variable.name], variable, places, wanted)
        for variable in variables
    }
    return Entries(
        labels=tuple(labels) if labelled else None,
        values=values,
        unused=tuple(key for key in keys if key not in used),
        noun="key",
        place=places.__getitem__,
        cell=lambda name, at: _cell(name, values[name], at, places),
    )


def _numbers_in(value: Any, place: str) -> np.ndarray:
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"expected numbers; got {excerpt(value)}", place=place) from None


def _shape_of(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:  # lists of different lengths: refused when they are read
        return ()


def _spelled(variable: Variable) -> tuple[str, ...]:
    return (variable.name,)


def _in_numbers(value: Any, meaning: Meaning) -> Any:
    """The value with numbers for what stands for them; the rest stays, to be refused."""
    if meaning.is_plain:
        return value
    if not isinstance(value, list):
        return meaning.number(value)
    if any(isinstance(item, list) for item in value):
        return [_in_numbers(item, meaning) for item in value]
    return meaning.numbers(value)


def _label(entry: dict[str, Any], place: str) -> str:
    label = entry.get(LABEL)
    if isinstance(label, list) and len(label) == 1:
        (label,) = label
    if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
        found = excerpt(label) if LABEL in entry else "none"
        raise DataError(f"expected a label as {LABEL}, text or a number; got {found}", place=place)
    return str(label)


def _array(entry: dict[str, Any], variable: Variable, meaning: Meaning, place: str) -> np.ndarray:
    """The array of a variable in an object, `(*event)`, or `(obs, *event)` where ragged.

    A list of one stands for what is in it where no list can be: R writes `[5]` for 5.
    """
    name = variable.name
    if name not in entry:
        raise DataError(f"expected the key {name}, as in those before", place=place)
    value = entry[name]
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            _refuse_non_numbers(value, f"{place}, {name}", meaning)
            array = array.astype(np.float64)  # whole numbers beyond 64 bits
    except (ValueError, OverflowError):  # lists of different lengths, or numbers beyond any float
        array = None
    if array is not None and variable.ragged and array.shape == (0,):
        return np.empty((0, *variable.event))
    if array is not None and not variable.ragged and array.shape == (1, *variable.event):
        array = array[0]
    event = None if array is None else array.shape[int(variable.ragged) :]
    if array is None or event != variable.event or array.ndim < variable.ragged:
        raise DataError(
            f"expected {_shape(variable)}; got {excerpt(value)}",
            place=f"{place}, {name}",
            hint=_ROWS if variable.ragged and not isinstance(value, list) else None,
        )
    return array


_ROWS = (
    "An object is a data set: a set of one is [1.5]. Rows of a table are read as CSV, or as one "
    "list of objects in a .json file."
)


def _shape(variable: Variable) -> str:
    event = " × ".join(map(str, variable.event))
    if variable.ragged:
        return f"a list of lists of {event} numbers" if event else "a list of numbers"
    return f"a list of {event} numbers" if event else "a number"


def _refuse_non_numbers(
    value: Any, place: str, meaning: Meaning = PLAIN, beside: Sequence[Any] = ()
) -> None:
    """Raise for the first leaf that is no number, if there is one.

    Arguments:
        beside: The list that it is in.
    """
    if isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_non_numbers(item, f"{place}[{i}]", meaning, value)
    elif value is None and meaning.gaps:
        return
    elif value is None:
        raise DataError(
            "expected a number; got null, a missing value",
            place=place,
            hint=NO_PLACE,
        )
    elif not isinstance(value, int | float):
        words = [item for item in beside if isinstance(item, str)]
        hint = meaning.remedy(value, words) if isinstance(value, str) else None
        raise DataError(f"expected a number; got {excerpt(value)}", place=place, hint=hint)


def _joined(
    arrays: list[np.ndarray], variable: Variable, places: Sequence[str], wanted: Wanted
) -> np.ndarray | Ragged:
    """The arrays of all entries as one value, checked."""
    if not variable.ragged:
        stacked = np.stack(arrays)
        return wanted.checked(
            stacked, variable, lambda at: _cell(variable.name, stacked, at, places)
        )
    joined = Ragged(np.concatenate(arrays), np.array([len(array) for array in arrays]))
    checked = wanted.checked(
        joined.values, variable, lambda at: _cell(variable.name, joined, at, places)
    )
    return Ragged(checked, joined.row_size)


def _cell(name: str, value: np.ndarray | Ragged, at: tuple[int, ...], places: Sequence[str]) -> str:
    """The place of the number at an index of a value, such as `line 3, x[1]`."""
    entry, within = at[0], list(at[1:])
    if isinstance(value, Ragged):
        entry = value.dataset_of(at[0])
        within = [at[0] - int(value.starts()[entry]), *within]
    return f"{places[entry]}, {name}{within or ''}"


def _drawn_in(entry: Mapping[str, Any]) -> list[str]:
    """The keys of draws: all but the label and the scores of the data set."""
    said = {SCORES} if isinstance(entry.get(SCORES), dict) else set()
    return [key for key in entry if key != LABEL and key not in said]


def _draws(value: Any, place: str) -> np.ndarray:
    _refuse_non_numbers(value, place, Meaning(gaps=True))
    try:
        draws: np.ndarray | None = as_float32(np.asarray(value, np.float64))
    except (ValueError, OverflowError):  # lists of different lengths, or numbers beyond any float
        draws = None
    if draws is None or not draws.ndim or not draws.size:
        raise DataError(f"expected a list of draws; got {excerpt(value)}", place=place)
    if absent_in_part(draws, axis=0).any():
        try:
            _refuse_non_numbers(value, place)
        except DataError as error:
            error.hint = (
                "Other draws of this data set have one: leave out the draw, or the whole key."
            )
            raise
    return draws
