"""Variables that a spec declares one by one, drawn together as if by one function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from graphlib import CycleError
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from abi_cli import registry
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.distribution import Distribution
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, UserFunction, shown
from abi_cli.model.owning import kept
from abi_cli.model.support import Support
from abi_cli.registry import Part
from abi_cli.spec.declarations import in_order

DeclaredSection = Literal["meta", "given", "prior"]
"""Sections of a spec whose variables may be declared."""


class Source(Protocol):
    """A source of some of a model's variables: a function, or declarations."""

    @property
    def name(self) -> str:
        """The name of the source in messages."""

    @property
    def place(self) -> str:
        """The place of the source in files or in the spec."""

    @property
    def batched(self) -> bool:
        """True if the source draws a whole chunk in one call."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the variables of other sources that are taken."""

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """The person's functions that it calls."""

    def signature(self) -> dict[str, bool]:
        """Argument name → whether it must be given."""

    def taking(
        self, names: tuple[str, ...], *, shared: Collection[str] = ()
    ) -> Callable[[Known], Any]:
        """A call with the arguments `names` out of what is known.

        Arguments:
            shared: Those of which a chunk has one value, not one for each data set.
        """

    def raised(self, error: BaseException, *, draw: str) -> UserFunctionError:
        """The error to raise for an exception of the source's, raised at `draw`."""

    def description(self) -> str:
        """A line that describes the source."""


class _NotDrawn(Exception):
    """A variable could not be drawn; the cause says why.

    Arguments:
        drawn: Those that were drawn before it.
    """

    def __init__(self, variable: str, drawn: Known):
        super().__init__(variable)
        self.variable, self.drawn = variable, drawn


@dataclass(frozen=True)
class Declared:
    """Variables, each with the distribution or function that draws it. A `Source`.

    Arguments:
        name: The section of the spec: `meta`, `given` or `prior`.
        variables: As they are declared.
        order: In which they are drawn: each comes after those that it takes.
        batched: Whether it draws for a whole chunk.
    """

    name: DeclaredSection
    variables: Mapping[str, Distribution | UserFunction]
    order: tuple[str, ...]
    batched: bool = False

    @classmethod
    def load(
        cls,
        name: DeclaredSection,
        declared: Mapping[str, str | Part],
        base_dir: Path,
        *,
        batched: bool,
    ) -> Declared:
        """The declared variables of a section, after making sure that their functions are there.

        Arguments:
            batched: Whether to draw for a whole chunk, where no function has a say in it.

        Errors:
            SpecError: A function isn't there, they take each other's results in a circle, or some
                take batch_size and others don't.
            UserFunctionError: A file raised when it was imported.
        """
        variables = {
            variable: UserFunction.load(source, base_dir)
            if isinstance(source, str)
            else registry.expected(source, Distribution)
            for variable, source in declared.items()
        }
        place = f"model.{name}"
        kinds = {s.batched for s in variables.values() if isinstance(s, UserFunction)}
        if len(kinds) > 1:
            raise SpecError(
                "Expected functions that all take batch_size, or none that does; got some of both",
                hint="A chunk is drawn at once, or row by row.",
                place=place,
            )
        needs = {variable: _taken(source) for variable, source in variables.items()}
        try:
            order = in_order(needs)
        except CycleError as error:
            circle = error.args[1]
            raise SpecError(
                f"Expected variables that can be drawn one after the other; got {circle[0]} and "
                f"{circle[1]}, which need each other",
                hint="Let a function that draws both be the whole section.",
                place=place,
            ) from None
        return cls(name, variables, order, kinds.pop() if kinds else batched)

    @property
    def place(self) -> str:
        """The section."""
        return f"model.{self.name}"

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """Functions that draw a variable."""
        return tuple(s for s in self.variables.values() if isinstance(s, UserFunction))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the variables of other sources that are taken."""
        return tuple(name for name in self.signature() if name not in self.variables)

    @property
    def supports(self) -> dict[str, Support]:
        """Variable → its support, as far as that is declared."""
        return {
            variable: source.support()
            for variable, source in self.variables.items()
            if isinstance(source, Distribution)
        }

    def signature(self) -> dict[str, bool]:
        """Argument name → whether it must be given. Own variables that are given are fixed."""
        signature = {RNG: True, **({BATCH_SIZE: True} if self.batched else {})}
        for source in self.variables.values():
            if isinstance(source, UserFunction):
                for name, required in source.signature().items():
                    signature[name] = required or signature.get(name, False)
            else:
                signature |= dict.fromkeys(source.references().values(), True)
        return signature | dict.fromkeys(self.variables, False)

    def taking(
        self, names: tuple[str, ...], *, shared: Collection[str] = ()
    ) -> Callable[[Known], Known]:
        """A function that draws them all, in order, given what is known of `names`."""
        fixed = frozenset(names).intersection(self.variables)
        known_to = {*names, *self.variables}
        steps = [(v, self._step(self.variables[v], known_to, shared)) for v in self.order]

        def draw(known: Known) -> Known:
            drawn: Known = {}
            for variable, step in steps:
                try:
                    value = step(known, drawn)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    raise _NotDrawn(variable, drawn) from error
                drawn[variable] = _as_drawn(known[variable], value) if variable in fixed else value
            return {variable: drawn[variable] for variable in self.variables}

        return draw

    def _step(
        self, source: Distribution | UserFunction, names: set[str], shared: Collection[str]
    ) -> Callable[[Known, Known], Any]:
        """A function of what is known and what has been drawn here that draws one variable."""
        if isinstance(source, UserFunction):
            call = source.taking(tuple(name for name in source.signature() if name in names))
            return lambda known, drawn: kept(call(known | drawn))
        if not self.batched:
            sample = source.sampler()
            if not source.references():
                return lambda known, _drawn: sample(known[RNG], {})
            return lambda known, drawn: sample(known[RNG], known | drawn)
        taken = tuple(source.references().values())

        def rows(known: Known, drawn: Known) -> np.ndarray:
            values = {name: _by_row(name, known, drawn, shared) for name in taken}
            return source.sample_rows(known[RNG], values, known[BATCH_SIZE])

        return rows

    def raised(self, error: BaseException, *, draw: str) -> UserFunctionError:
        """The error to raise for a variable that could not be drawn."""
        if not isinstance(error, _NotDrawn) or error.__cause__ is None:
            raise error
        source = self.variables[error.variable]
        if isinstance(source, UserFunction):
            return source.raised(error.__cause__, draw=draw)
        named = [name for name in source.references().values() if name in error.drawn]
        given = ", ".join([draw, *(f"{name} = {shown(error.drawn[name])}" for name in named)])
        return UserFunctionError(
            f"{error.variable} can't be drawn from {source.meaning()}: {error.__cause__} ({given})",
            place=f"{self.place}.{error.variable}",
        )

    def description(self) -> str:
        """Each variable and what it is drawn from."""
        return "; ".join(
            f"{variable} from {source.description()}"
            if isinstance(source, UserFunction)
            else f"{variable} {source.meaning()}"
            for variable, source in self.variables.items()
        )

    def log_density(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The log-density of data sets' values, `(dataset,)`.

        Arguments:
            values: Of the variables and of what their options name, `(dataset, *event)`.

        Errors:
            SpecError: A function draws one of them.
        """
        total = np.zeros(len(next(iter(values.values()))))
        for variable, source in self.variables.items():
            if isinstance(source, UserFunction):
                raise SpecError(
                    f"the density of {variable} is not known: {source.name} draws it",
                    place=self.place,
                )
            total += source.log_density(values[variable], values)
        return total


def _taken(source: Distribution | UserFunction) -> tuple[str, ...]:
    if isinstance(source, UserFunction):
        return source.arguments
    return tuple(source.references().values())


def _as_drawn(fixed: Any, drawn: Any) -> Any:
    """A value that is held fixed, a whole number where draws are whole."""
    whole = np.asarray(drawn).dtype.kind in "iu" and float(fixed).is_integer()
    return int(fixed) if whole else fixed


def _by_row(name: str, known: Known, drawn: Known, shared: Collection[str]) -> np.ndarray:
    """A value with a leading axis: dataset, or 1 where all data sets of a chunk share it."""
    value = np.asarray(drawn[name] if name in drawn else known[name])
    return value[None] if value.ndim == 0 or name in shared else value
