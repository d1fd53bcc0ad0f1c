"""Variables that a spec declares by distributions: which names which, and what is drawn when."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import ClassVar, Protocol, runtime_checkable

from abi_cli.registry import Part
from abi_cli.spec.problems import Code, suggestion
from abi_cli.spec.shorthand import refusal


@runtime_checkable
class Declaration(Protocol):
    """A part that says how a variable is distributed."""

    name: ClassVar[str]
    discrete: ClassVar[bool]

    def references(self) -> dict[str, str]:
        """Option → the variable that it names."""

    def varies(self) -> bool:
        """True if more than one value can be drawn."""


Declared = Mapping[str, Part | str]
"""Variable → its distribution, or the function that draws it."""


def references(source: Part | str) -> dict[str, str]:
    """Option of a distribution → the variable that it names. What functions take shows later."""
    return source.references() if isinstance(source, Declaration) else {}


def in_order(needs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Variables in an order in which each comes after those of them that it needs.

    Errors:
        CycleError: Some need each other.
    """
    within = {name: [o for o in others if o in needs] for name, others in needs.items()}
    return tuple(TopologicalSorter(within).static_order())


def check_references(declared: Declared, *, context: Collection[str] | None) -> None:
    """Refuse options that name variables which can't be had.

    Arguments:
        context: What is drawn before and may be named; None where that is not known.

    Errors:
        PydanticCustomError: An option names what nothing draws, or what is drawn later.
    """
    for name, part in declared.items():
        for option, other in references(part).items():
            if context is None or other in context or (other in declared and other != name):
                continue
            if other == name:
                raise _circular(declared, [name, name])
            known = tuple(dict.fromkeys([*context, *(key for key in declared if key != name)]))
            raise refusal(
                Code.VALUE,
                f"Expected a number or the name of a variable; got {other!r}, which nothing draws",
                hint=suggestion(other, known, title="Variables"),
                at=(name, *_named(part), option),
            )
    try:
        in_order({name: references(source).values() for name, source in declared.items()})
    except CycleError as error:
        raise _circular(declared, error.args[1][::-1]) from None


def check_sizes(declared: Declared, *, others: Declared) -> None:
    """Refuse sizes that vary between data sets.

    Arguments:
        others: What is declared beside these.

    Errors:
        PydanticCustomError: A size is the name of a variable that varies.
    """
    for name, part in declared.items():
        size = references(part).get("size")
        source = {**others, **declared}.get(size) if size else None
        if isinstance(source, Declaration) and source.varies():
            raise refusal(
                Code.VALUE,
                f"Expected a size that is the same in every data set; got {size!r}, which varies",
                hint="Parameters of varying length can't be inferred",
                at=(name, *_named(part), "size"),
            )


def _circular(declared: Declared, circle: Sequence[str]) -> Exception:
    """The refusal of variables of which each names the next, pointing at an option of the first."""
    name = circle[0]
    option = next(o for o, other in references(declared[name]).items() if other == circle[1])
    needs = ", ".join(f"{one} from {other}" for one, other in pairwise(circle))
    return refusal(
        Code.VALUE,
        f"Expected variables that can be drawn one after the other; got {needs}",
        hint="Let one of them have numbers for options",
        at=(name, *_named(declared[name]), option),
    )


def _named(source: Part | str) -> tuple[str, ...]:
    return () if isinstance(source, str) else (source.name,)
