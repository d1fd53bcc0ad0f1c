"""Quantities of interest that are computed from a run: those of its spec, more, or fewer.

No network has learned from them, so that they may come and go when training is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli.errors import SpecError, UsageError
from abi_cli.listener import Listener, Progress
from abi_cli.model.functions import UserFunction
from abi_cli.model.quantities import Quantities
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout, Variable, count
from abi_cli.workflow.request import Model

_FIELD = "model.quantities."
_EXAMPLE = "For example -s model.quantities.effect=effects.py:effect"


@dataclass(frozen=True)
class Selection:
    """Quantities wanted beside those that a spec names, and of them.

    Arguments:
        added: As `model.quantities.NAME=FILE.py:FUNCTION`; files are relative to the folder where
            one is, or to the run.
        skipped: Names of those that are left out.
    """

    added: Sequence[str] = ()
    skipped: Sequence[str] = ()

    def of(self, model: Model, layout: Layout) -> Model:
        """The model of a run with the quantities that are wanted.

        Arguments:
            layout: The variables of the run.

        Errors:
            UsageError: Something else than a quantity is added, or one skipped that is not there.
            SpecError: A function is not there, or takes what the model does not have.
        """
        judged = model.judged
        functions = {**judged.functions, **self._functions(model.base)}
        judged = replace(judged, functions=functions).without(self.skipped)
        Quantities(judged.functions).refuse_unfit(layout)
        return replace(model, judged=judged)

    def _functions(self, base: Path) -> Mapping[str, UserFunction]:
        found = {}
        for argument in self.added:
            name, equals, reference = argument.partition("=")
            name = name.strip().removeprefix(_FIELD)
            if not (equals and argument.strip().startswith(_FIELD) and name.isidentifier()):
                raise UsageError(
                    f"expected -s {_FIELD}NAME=FILE.py:FUNCTION, since all else was learned and "
                    f"stays as it is; got {argument}",
                    hint=_EXAMPLE,
                )
            found[name] = _function(reference.strip(), base)
        return found


USUAL_SELECTION = Selection()


def _function(reference: str, base: Path) -> UserFunction:
    """A function of a file of the working folder, or of the run where it has none of this name.

    Errors:
        UsageError: It is not there.
    """
    module, _, name = reference.rpartition(":")
    here = Path(module)
    own = module.endswith(".py") and not here.is_file() and (base / module).is_file()
    try:
        if own or not module.endswith(".py"):
            return UserFunction.load(reference, base if own else Path.cwd())
        return UserFunction.load(f"{here.name}:{name}", here.resolve().parent)
    except SpecError as error:
        raise UsageError(f"{reference}: {error.message}", hint=error.hint or _EXAMPLE) from None


def computing(
    quantities: Quantities, draws: int | None, listener: Listener
) -> AbstractContextManager[Progress]:
    """The task of computing quantities, with a word on how to save time where that is worth it.

    Arguments:
        draws: Of all data sets; None where that is not known.
    """
    slow = quantities.slow(draws or 0)
    if slow is not None:
        listener.note(slow)
    total = None if draws is None else draws * len(quantities.called())
    return listener.task(f"computing {', '.join(quantities.names)}", total, "values")


def quantity_variables(model: Model, datasets: Datasets) -> list[Variable]:
    """The quantities of a model as variables, judged by parameters of one simulation."""
    simulator = model.need_simulator()
    one = simulator.simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=simulator.unit)
    parameters = {
        variable.name: np.repeat(np.asarray(one[variable.name])[:1], count(datasets), axis=0)
        for variable in model.layout(one).of("parameter")
    }
    return model.quantities.variables(parameters, datasets)
