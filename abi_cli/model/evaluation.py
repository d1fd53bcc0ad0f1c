"""Functions of a spec called for the draws of one data set: quantities of interest, densities."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from abi_cli import underway
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, RNG, UserFunction, shown
from abi_cli.model.owning import kept, private
from abi_cli.model.streams import NOISE_BLOCK, Purpose, Streams
from abi_cli.variables import Datasets, Layout, Ragged, take

_UNITS = 1 << 32
"""Streams of one data set: more than a data set has draws."""

_REPORTED = 256
"""Calls between two signs of life."""


@dataclass(frozen=True)
class At:
    """The draws that a function is called for: its messages and its randomness go by them.

    Arguments:
        dataset: The place of the data set among all.
        draw: The place of the first of its draws that are at hand.
        seed: Seed of the `rng` that a function may take: its numbers for a draw depend
            on seed, name of the result, data set and draw alone.
        advance: Hears how many draws are done.
        label: What messages call the data set; its place where that is empty.
    """

    dataset: int
    draw: int = 0
    seed: int = 1
    advance: Callable[[int], None] = lambda _number: None
    label: str = ""

    @property
    def called(self) -> str:
        """The data set in words, by its label or place."""
        return f"data set {self.label or self.dataset}"


def refuse_unknown_arguments(
    function: UserFunction, layout: Layout, *, place: str, rng: bool = False
) -> None:
    """Refuse a function that takes what a model doesn't have.

    Arguments:
        place: The field of the spec that names it.
        rng: Whether it may draw random numbers.

    Errors:
        SpecError: It does.
    """
    known = [variable.name for variable in layout.variables]
    for argument, required in function.signature().items():
        if required and argument not in (*known, BATCH_SIZE, *((RNG,) if rng else ())):
            near = difflib.get_close_matches(argument, known, n=1)
            listed = f"It can take {', '.join(known)}"
            raise SpecError(
                f"{function.name} takes {argument}, which is no variable of the model",
                hint=f"Did you mean {near[0]}? {listed}" if near else listed,
                place=place,
            )


def by_data_set(
    parameters: Mapping[str, np.ndarray], datasets: Datasets
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Data and context of each data set, and its draws `(draw, *event)`, float64.

    Arguments:
        parameters: Name → `(dataset, draw, *event)`.
        datasets: The same data sets. Their own parameters play no part.
    """
    data = {name: value for name, value in datasets.items() if name not in parameters}
    for row in range(len(next(iter(parameters.values())))):
        yield (
            known_of(data, row),
            {name: value[row].astype(np.float64) for name, value in parameters.items()},
        )


def known_of(data: Datasets, row: int) -> dict[str, Any]:
    """Data and context of one data set, as functions take them."""
    return {name: _plain(value) for name, value in take(data, np.array([row])).items()}


def _plain(value: np.ndarray | Ragged) -> Any:
    """The value of a single data set: its members, its array, or its number."""
    if isinstance(value, Ragged):
        return value.values
    return value[0].item() if value.ndim == 1 else value[0]


def evaluated(
    name: str,
    function: UserFunction,
    known: Mapping[str, Any],
    draws: Mapping[str, np.ndarray],
    at: At,
    *,
    nan: bool = False,
) -> np.ndarray:
    """A function's results for draws of a data set, `(draw, *event)`, float64.

    With an argument `batch_size` it is called for up to `NOISE_BLOCK` draws at once: parameters and
    result have an axis of draws.

    Arguments:
        name: What messages call the result.
        at: Which draws these are.
        nan: Whether a result may be NaN.

    Errors:
        UserFunctionError: It raised, or gave what is no number or another shape.
    """
    calls = _Calls(name, function, known, draws, at)
    with function.at_hand(), underway.work(f"{name} of {at.called}"):
        streams = Streams(at.seed, Purpose.QUANTITY, crc32(name.encode()))
        with streams.everywhere():
            values = streams.run(lambda: calls.made(streams))
    if not nan:
        refuse_where(np.isnan(values), f"{name} is not a number (NaN)", function, draws, at)
    return values


def refuse_where(
    wrong: np.ndarray,
    what: str,
    function: UserFunction,
    draws: Mapping[str, np.ndarray],
    at: At,
) -> None:
    """Refuse a function's results, naming the first draw of a data set where they are wrong.

    Arguments:
        wrong: `(draw, *event)` bool.
        what: Is wrong, in words: "mu is not a number (NaN)".

    Errors:
        UserFunctionError: Some are.
    """
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if len(rows):
        raise unusable(
            function,
            f"{what} for {len(rows):,} of {len(wrong):,} draws of {at.called}, such as "
            f"{said_of(draws, rows[0])}",
        )


def said_of(draws: Mapping[str, np.ndarray], row: int) -> str:
    """The parameters of a draw, in words."""
    return ", ".join(f"{name} = {shown(value[row])}" for name, value in draws.items())


@dataclass(frozen=True)
class _Calls:
    """The calls of a function for draws of a data set."""

    name: str
    function: UserFunction
    known: Mapping[str, Any]
    draws: Mapping[str, np.ndarray]
    at: At

    def made(self, streams: Streams) -> np.ndarray:
        """Results of all draws, `(draw, *event)`."""
        number = len(next(iter(self.draws.values())))
        if not self.function.batched:
            return self._numbers(self._one_by_one(number, streams))
        parts = [
            self._together(first, min(number, first + NOISE_BLOCK), streams)
            for first in range(0, number, NOISE_BLOCK)
        ]
        if len({part.shape[1:] for part in parts}) > 1:
            raise unusable(
                self.function, f"{self.name} must have one shape for all draws of {self.at.called}"
            )
        return np.concatenate(parts)

    def _one_by_one(self, number: int, streams: Streams) -> list[Any]:
        results = []
        for k in range(number):
            given = self._given({name: value[k] for name, value in self.draws.items()}, k, streams)
            where = f"draw {self.at.draw + k} of {self.at.called}"
            results.append(_called(self.function, given, where))
            if (k + 1) % _REPORTED == 0:
                self.at.advance(_REPORTED)
        self.at.advance(number % _REPORTED)
        return results

    def _together(self, first: int, stop: int, streams: Streams) -> np.ndarray:
        size = stop - first
        own = {name: value[first:stop] for name, value in self.draws.items()}
        given = {**self._given(own, first, streams), BATCH_SIZE: size}
        result = _called(self.function, given, self.at.called)
        if np.shape(result)[:1] != (size,):
            raise unusable(
                self.function,
                f"{self.name} must have {size} (batch_size) as its first axis; of "
                f"{self.at.called} its shape is {np.shape(result)}",
            )
        self.at.advance(size)
        return self._numbers(result)

    def _numbers(self, result: Any) -> np.ndarray:
        try:
            return np.asarray(result, np.float64)
        except (TypeError, ValueError):
            one = result[0] if isinstance(result, list) and result else result
            raise unusable(
                self.function,
                f"{self.name} must be a number or an array of one shape; got "
                f"{type(one).__name__} for draws of {self.at.called}",
            ) from None

    def _given(self, own: Mapping[str, np.ndarray], first: int, streams: Streams) -> dict[str, Any]:
        """Arguments of the function for draws from `first` on, with `rng` at the stream of that."""
        streams.seek(self.at.dataset * _UNITS + self.at.draw + first)
        known = {**self.known, **own, RNG: streams.rng}
        return {name: known[name] for name in self.function.signature() if name in known}


def _called(function: UserFunction, arguments: Mapping[str, Any], where: str) -> Any:
    try:
        own = {n: value if n == RNG else private(value) for n, value in arguments.items()}
        result = function.function(**own)
        return kept(result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        hidden = (BATCH_SIZE, RNG)
        given = [f"{n} = {shown(v)}" for n, v in arguments.items() if n not in hidden]
        raise function.raised(error, draw=", ".join([where, *given])) from error


def unusable(function: UserFunction, message: str, *, hint: str | None = None) -> UserFunctionError:
    """The error to raise for results that can't be used."""
    return UserFunctionError(message, place=function.place, hint=hint)
