"""The functions that a spec names: found, loaded and asked what they take.

Functions take what they name: other variables of the model by their names, `rng`, a NumPy
Generator, and `batch_size`, which says that the function works on a whole chunk of data sets,
whose axis comes first in what it gets and gives. All return a dict of arrays or numbers.
"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Collection, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import numpy as np

from abi_cli import underway
from abi_cli.errors import SpecError, TookTooLong, UserFunctionError
from abi_cli.harmless import described
from abi_cli.model.modules import own_frames, refresh, user_modules
from abi_cli.model.owning import UNCHANGING, private

RNG = "rng"
BATCH_SIZE = "batch_size"

Known = dict[str, Any]
"""Argument name → value, for a call of a function."""


def shown(value: object) -> str:
    """A value for messages, on one line."""
    text = np.array2string(np.asarray(value), precision=4, threshold=8, separator=", ")
    return " ".join(text.split())


def loaded_files(base_dir: Path, references: Collection[str]) -> tuple[Path, ...]:
    """The files that modules of a folder needed so far, absolute: theirs, and those beside.

    Arguments:
        references: The modules, as specs name them.
    """
    return user_modules(base_dir.resolve()).files_of(references)


def _parameters(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """The parameters of a function, remembered where it can be a key."""
    return _remembered(function) if isinstance(function, Hashable) else _read(function)


def _read(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())


_remembered = lru_cache(maxsize=256)(_read)


class UnusableFunction(SpecError):
    """A function that a spec names is not there, or can't be called.

    Arguments:
        error: Why.
        reference: As the spec has it.
    """

    def __init__(self, error: SpecError, reference: str):
        super().__init__(error.message, hint=error.hint, place=error.place)
        self.reference = reference


@dataclass(frozen=True)
class UserFunction:
    """A function by its reference. It is looked up where it is used, so it can cross processes.

    Arguments:
        reference: `file.py:name` or `package.module:name`.
        base_dir: The folder that the file is relative to, absolute.
    """

    reference: str
    base_dir: Path

    @classmethod
    def load(cls, reference: str, base_dir: Path) -> UserFunction:
        """The function, after making sure that it is there; files changed since are read again.

        Errors:
            SpecError: The file or the function isn't there, or its arguments have no names.
            UserFunctionError: The file raised when it was imported.
        """
        base_dir = base_dir.resolve()
        refresh(base_dir)
        function = cls(reference, base_dir)
        try:
            function.signature()
        except SpecError as error:
            raise UnusableFunction(error, reference) from None
        return function

    @property
    def name(self) -> str:
        """The name of the function in its module."""
        return self.reference.rpartition(":")[2]

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        module_reference = self.reference.rpartition(":")[0]
        module = user_modules(self.base_dir).load(module_reference)
        function: Any = getattr(module, self.name, None)
        if callable(function):
            return cast("Callable[..., Any]", function)
        known = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        near = difflib.get_close_matches(self.name, known, n=1)
        found = "no function" if function is None else f"a {type(function).__name__}"
        raise SpecError(
            f"expected a function {self.name} in {module_reference}; got {found} of this name",
            hint=f"Did you mean {near[0]}?" if near else f"It has {', '.join(known) or 'none'}.",
        )

    def signature(self) -> dict[str, bool]:
        """Argument name → whether it must be given. `*args` and `**kwargs` get nothing.

        Errors:
            SpecError: The function's arguments can't be given by name.
        """
        try:
            parameters = _parameters(self.function)
        except ValueError as error:  # some functions written in C
            raise SpecError(
                f"expected a function whose arguments have names; got {self.reference}",
                hint="Call it from a Python function of your own.",
            ) from error
        if any(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters):
            raise SpecError(
                f"expected arguments that can be given by name; got {self.reference}, "
                "which takes some by position only",
                hint="Remove the / from its signature.",
            )
        return {
            parameter.name: parameter.default is parameter.empty
            for parameter in parameters
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }

    def taking(
        self,
        names: tuple[str, ...],
        *,
        shared: Collection[str] = (),  # noqa: ARG002  # of interest to declarations
    ) -> Callable[[Known], Any]:
        """A call of the function with the arguments `names`, in its order, out of what is known.

        Arrays are the function's own: it may change them.
        """
        function = self.function
        positional = [
            parameter.name
            for parameter in _parameters(function)
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        if tuple(positional[: len(names)]) != names:
            return lambda known: function(**{name: private(known[name]) for name in names})
        match names:  # by position, which saves a microsecond a row
            case ():
                return lambda _known: function()
            case (name,):
                return lambda known: function(private(known[name]))
        pick, array, unchanging = itemgetter(*names), np.ndarray, UNCHANGING

        def call(known: Known) -> Any:
            return function(
                *[
                    value.copy("K")
                    if type(value) is array
                    else value
                    if type(value) in unchanging
                    else private(value)
                    for value in pick(known)
                ]
            )

        return call

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of all its arguments."""
        return tuple(self.signature())

    @property
    def batched(self) -> bool:
        """True if the function works on a whole chunk."""
        return BATCH_SIZE in self.signature()

    @property
    def takes_rng(self) -> bool:
        """True if the function is given a Generator; else it may draw from global `np.random`."""
        return RNG in self.signature()

    def at_hand(self) -> AbstractContextManager[None]:
        """A context in which its modules can be imported by name, as its code expects."""
        return user_modules(self.base_dir).still_at_hand()

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """The function alone; other sources of variables may have several."""
        return (self,)

    def description(self) -> str:
        """File, line, name and arguments: `regression.py:12 prior(rng)`."""
        return f"{self.place}({', '.join(self.arguments)})"

    @property
    def place(self) -> str:
        """File, line and name: `regression.py:12 prior`."""
        function = inspect.unwrap(self.function)
        code = getattr(function, "__code__", None)
        if code is None:
            return self.reference
        path = os.path.relpath(code.co_filename, self.base_dir)
        shown = code.co_filename if path.startswith(os.pardir) else path
        return f"{shown}:{code.co_firstlineno} {self.name}"

    def raised(self, error: BaseException, *, draw: str) -> UserFunctionError:
        """The error to raise for an exception of the function's, raised at `draw`."""
        stopped = isinstance(error, underway.Stopped)
        kind = TookTooLong if isinstance(error, underway.TakesTooLong) else UserFunctionError
        failed = kind(
            f"{self.name} {error if stopped else f'raised {described(error)}'} ({draw})",
            place=self.place,
            frames=own_frames(error, self.base_dir),
        )
        if kind is TookTooLong and (seen := underway.here.cell.look()):
            failed.unit = seen.unit
        return failed
