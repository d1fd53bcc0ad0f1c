"""Data sets, changed a little each time that they are learned from.

A function that knows of a symmetry (the order of channels, a shift in time, the sign of a phase)
makes many data sets of one. It is given a data set's variables by name, and `rng`; what it returns
takes their place. What it draws follows from the seed and the place in the training alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli import underway
from abi_cli.errors import UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, UserFunction
from abi_cli.model.outputs import UnusableOutputError, check_finite, stack
from abi_cli.model.streams import Purpose, Streams
from abi_cli.variables import Datasets, Ragged, Value, array_of, count


@dataclass(frozen=True)
class Augmentation:
    """A function that changes data sets, and what its draws follow from. It can cross processes.

    Arguments:
        purpose: The purpose of the draws: stored data sets and fresh ones have the same places.
    """

    function: UserFunction
    seed: int
    purpose: Purpose = Purpose.AUGMENT

    def __call__(self, datasets: Datasets, places: np.ndarray) -> Datasets:
        """Data sets as they are learned from this time.

        Arguments:
            places: Of each in the training, `(dataset,)`.

        Errors:
            UserFunctionError: The function raised, or returned what can't be used.
        """
        streams = Streams(self.seed, self.purpose)
        where = f"data set {{}} of the training, seed {self.seed}"
        with (
            self.function.at_hand(),
            streams.everywhere(),
            underway.work(where),
        ):
            return streams.run(lambda: self._changed(datasets, places, streams))

    def _changed(self, datasets: Datasets, places: np.ndarray, streams: Streams) -> Datasets:
        take = self.function.taking(self._arguments(datasets))
        columns = {name: _rows(value) for name, value in datasets.items()}
        changed: dict[str, list[Any]] = {}
        for row, place in enumerate(places.tolist()):
            streams.seek(place)
            known: Known = {name: column[row] for name, column in columns.items()}
            try:
                output = take({**known, RNG: streams.rng})
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise self.function.raised(
                    error, draw=f"data set {place} of the training"
                ) from error
            self._check(output, datasets, changed, row)
            for name, value in output.items():
                changed.setdefault(name, []).append(np.array(value))
        return datasets | {
            name: self._column(name, datasets[name], changed[name]) for name in changed
        }

    def _arguments(self, datasets: Datasets) -> tuple[str, ...]:
        """Names of the arguments that the function is given.

        Errors:
            UserFunctionError: It takes something else.
        """
        signature = self.function.signature()
        known = {*datasets, RNG}
        for name, required in signature.items():
            if required and name not in known:
                also = "; it changes one data set at a time" if name == BATCH_SIZE else ""
                raise self._unusable(
                    f"{self.function.name} takes {name}, which nothing provides{also}",
                    f"It can take {', '.join(sorted(known))}.",
                )
        return tuple(name for name in signature if name in known)

    def _check(self, output: Any, datasets: Datasets, changed: Mapping[str, Any], row: int) -> None:
        if not isinstance(output, dict) or not output or (row and output.keys() != changed.keys()):
            raise self._unusable(
                f"Expected a dict with the same variables every time; got {output!r:.60}",
                'Return those that change, as in {"x": x + shift}.',
            )
        for name in output.keys() - datasets.keys():
            raise self._unusable(
                f"{self.function.name} returns {name}, which is no variable of the data sets",
                f"They have {', '.join(datasets)}.",
            )

    def _column(self, name: str, before: Value, values: list[Any]) -> Value:
        """Changed values of a variable, joined; refused unless they have the shape of before."""
        try:
            now = stack(name, values, ragged=isinstance(before, Ragged), first_row=0)
            check_finite(name, now, missing=bool(np.isnan(array_of(before)).any()))
        except UnusableOutputError as error:
            raise self._unusable(error.message, None) from None
        if type(now) is not type(before) or array_of(now).shape[1:] != array_of(before).shape[1:]:
            shapes = array_of(before).shape[1:], array_of(now).shape[1:]
            raise self._unusable(f"{name} has the shape {shapes[1]}, and had {shapes[0]}", None)
        return now

    def _unusable(self, message: str, hint: str | None) -> UserFunctionError:
        return UserFunctionError(message, hint=hint, place=self.function.place)


def _rows(value: Value) -> list[Any]:
    """The value of each data set."""
    if isinstance(value, Ragged):
        return np.split(value.values, np.cumsum(value.row_size)[:-1])
    return list(value) if count({"": value}) else []
