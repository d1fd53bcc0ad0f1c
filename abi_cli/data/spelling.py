"""Elements of a variable by the names that other programs give them.

Ours are `beta[0]`, `beta[1]`. R, Stan and Julia count from one, R's data frames have `beta.1`, and
spreadsheets `beta_1` or `beta1`. Names are understood where nothing else can be meant: all elements
are there, counted from 0 or from 1.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from abi_cli.errors import DataError
from abi_cli.variables import Variable

Index = tuple[int, ...]

_NUMBER = r"[0-9]{1,18}"
_SURE = (
    re.compile(rf"(.+?)\[ *({_NUMBER}(?: *, *{_NUMBER})*) *\]"),
    re.compile(rf"(.+?)((?:\.{_NUMBER})+)\.?"),  # R makes beta.1. of beta[1]
)
_GUESSED = (re.compile(rf"(.+?)((?:_{_NUMBER})+)"), re.compile(rf"(.*?[^0-9])({_NUMBER})"))
"""Ways of writing that names may have by chance, too: for variables that are looked for."""

_COMPARED = 1_000
"""Number of names, at most, that are compared with one that is not there."""


@dataclass(frozen=True)
class Elements:
    """Names that a variable's elements have in a file, all in one way of writing.

    Arguments:
        variable: Whose.
        names: Index of an element, as written → its name.
    """

    variable: str
    names: Mapping[Index, str]

    @property
    def base(self) -> int:
        """The index that they seem to count from, 0 or 1."""
        return int(min(map(min, self.names)) > 0)

    @property
    def event(self) -> tuple[int, ...] | None:
        """The shape of which all elements are there; None where some are missing."""
        sizes = {len(index) for index in self.names}
        if len(sizes) > 1:
            return None
        event = tuple(max(axis) + 1 - self.base for axis in zip(*self.names, strict=True))
        whole = math.prod(event) == len(self.names)  # asked first: an index may be any number
        return event if whole and set(self._indices(event)) == set(self.names) else None

    def in_order(self) -> list[str]:
        """The names in C order."""
        return [self.names[index] for index in sorted(self.names)]

    def shown(self) -> str:
        """The names for people: all, or from which to which."""
        names = self.in_order()
        return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"

    def _indices(self, event: tuple[int, ...]) -> Iterable[Index]:
        return product(*(range(self.base, self.base + size) for size in event))


def elements_among(names: Sequence[str], known: Collection[str] = ()) -> list[Elements]:
    """Names that look like elements, by variable and way of writing.

    Arguments:
        known: Variables that are looked for: their elements may be written as `beta_1` and `beta1`.
    """
    found: list[Elements] = []
    own = set(names)
    for way in (*_SURE, *(_GUESSED if known else ())):
        of_variable: dict[str, dict[Index, str]] = {}
        for name in names:
            match = way.fullmatch(name)
            stem = match[1] if match else ""
            guessed = way in _GUESSED and stem not in known
            # What has a column of its own is no vector: x.1 is R's name of a second column x.
            if match and not guessed and (stem not in own or way is _SURE[0]):
                index = tuple(int(number) for number in re.findall(_NUMBER, match[2]))
                of_variable.setdefault(stem, {})[index] = name
        found += [Elements(stem, written) for stem, written in of_variable.items()]
    return found


def shapes_among(
    names: Sequence[str], known: Collection[str], place: str
) -> dict[str, tuple[tuple[int, ...], list[str]]]:
    """The event shape, and the names of elements in C order, by variable.

    Errors:
        DataError: Some elements of a vector are there and some are not.
    """
    vector_of: dict[str, Elements] = {}
    for elements in elements_among(names, known):
        first = next(iter(elements.names.values()))
        if elements.event is None and first.endswith("]"):
            raise DataError(
                f"expected all elements of {elements.variable}; got {len(elements.names)} of them",
                place=place,
            )
        if elements.event is not None:
            for name in elements.names.values():
                vector_of.setdefault(name, elements)
    shapes: dict[str, tuple[tuple[int, ...], list[str]]] = {}
    for name in names:
        elements = vector_of.get(name, Elements(name, {(): name}))
        shapes.setdefault(
            elements.variable,
            (elements.event if name in vector_of else (), elements.in_order()),  # type: ignore[arg-type]  # whole
        )
    return shapes


def respelled(
    names: Sequence[str], required: Sequence[Variable], optional: Sequence[Variable], place: str
) -> tuple[list[str], list[str]]:
    """The names of a file, with our names for the elements of variables that are looked for.

    Returns:
        The names, and a sentence on each variable whose elements were written otherwise.

    Errors:
        DataError: Elements of a vector that is needed are more or fewer than it has, or are there
            in two ways.
    """
    vectors = {v.name: v for v in (*required, *optional) if v.event}
    if not vectors:
        return list(names), []
    ours: dict[str, str] = {}
    notes = []
    written: dict[str, list[Elements]] = {}
    for elements in elements_among(names, vectors):
        if elements.variable in vectors:
            written.setdefault(elements.variable, []).append(elements)
    for name, ways in written.items():
        own = vectors[name].elements()
        whole = [way for way in ways if way.event == vectors[name].event]
        if any(way.in_order() == list(own) for way in whole):
            continue
        if len(whole) == 1:
            ours |= zip(whole[0].in_order(), own, strict=True)
            notes.append(
                f"{place}: takes {whole[0].shown()} for {Elements(name, _indexed(own)).shown()}"
            )
        elif len(whole) > 1 or (
            vectors[name] in required and not _lacks_some(own, ways)  # which go by their names
        ):
            ways_shown = " and ".join(way.shown() for way in (whole or ways))
            expected = Elements(name, _indexed(own)).shown()
            raise DataError(
                f"expected the {len(own)} elements of {name}, {expected}"
                f"{' once' if whole else ''}; got {ways_shown}",
                place=place,
                hint="Elements are counted from 0; from 1, or as "
                f"{name}.1 or {name}1, they are understood where all are there and no others.",
            )
    return [ours.get(name, name) for name in names], notes


def _lacks_some(own: Sequence[str], ways: Sequence[Elements]) -> bool:
    """True if some of the elements are there under our names, and nothing else."""
    return all(name in own for way in ways for name in way.names.values())


def _indexed(names: Sequence[str]) -> dict[Index, str]:
    return {(i,): name for i, name in enumerate(names)}


def meant(wanted: str, names: Sequence[str]) -> str | None:
    """The name that was most likely meant by one that is not there; None where none was.

    An element is never taken for another one, nor for a whole: that would rename the slope to the
    intercept.
    """
    index = re.findall(_NUMBER, wanted)
    alike = {
        name.lower(): name
        for name in names[:_COMPARED]
        if re.findall(_NUMBER, name) == index or name.lower() == wanted.lower()
    }
    nearest = difflib.get_close_matches(wanted.lower(), alike, n=1)
    return alike[nearest[0]] if nearest else None
