"""The density of a model, as far as its spec says it: by which posteriors can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.errors import SpecError
from abi_cli.model.declared import Declared
from abi_cli.model.evaluation import At, evaluated, refuse_unknown_arguments, refuse_where
from abi_cli.model.functions import UserFunction
from abi_cli.model.simulator import Simulator
from abi_cli.spec import ModelSection
from abi_cli.variables import Layout


@dataclass(frozen=True)
class LogDensity:
    """log p(y | θ), and log p(θ) beside it where that is known, of draws of the parameters.

    Ranks of this quantity see what those of parameters don't: a posterior that ignores the data
    (Modrák et al. 2023, arXiv:2211.02383).

    Arguments:
        likelihood: Its log density of one data set: the total, or a value for each member. It takes
            parameters, data and context by their names; with `batch_size` for all draws at once.
        prior: That of the parameters: a function, or what the spec declares; None if not known.
    """

    likelihood: UserFunction
    prior: UserFunction | Declared | None = None

    @classmethod
    def load(cls, section: ModelSection, base_dir: Path, simulator: Simulator) -> LogDensity | None:
        """The density of a model; None where its spec names no `log_likelihood`.

        Errors:
            SpecError: A file or function isn't there.
        """
        if section.log_likelihood is None:
            return None
        likelihood = UserFunction.load(section.log_likelihood, base_dir)
        if section.log_prior is not None:
            return cls(likelihood, UserFunction.load(section.log_prior, base_dir))
        prior = simulator.prior
        declared = prior if isinstance(prior, Declared) and not prior.functions else None
        whole = simulator.parameters is None or set(declared.variables if declared else ()) <= set(
            simulator.parameters
        )
        return cls(likelihood, declared if whole else None)

    @property
    def name(self) -> str:
        """The name of the quantity: log_joint where the prior is known, else log_likelihood."""
        return "log_likelihood" if self.prior is None else "log_joint"

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """The person's functions that it calls."""
        prior = (self.prior,) if isinstance(self.prior, UserFunction) else ()
        return (self.likelihood, *prior)

    def refuse_unfit(self, layout: Layout) -> None:
        """Refuse arguments that a model doesn't have, and a name that is taken.

        Errors:
            SpecError: There is one.
        """
        refuse_unknown_arguments(self.likelihood, layout, place="model.log_likelihood")
        if isinstance(self.prior, UserFunction):
            refuse_unknown_arguments(self.prior, layout, place="model.log_prior")
        if self.name in layout:
            raise SpecError(
                f"Expected no variable called {self.name}, as the density is",
                hint="Rename it in the model's functions.",
                place="model.log_likelihood",
            )

    def of_data_set(
        self,
        known: Mapping[str, Any],
        draws: Mapping[str, np.ndarray],
        at: At,
        *,
        nan: bool = False,
    ) -> np.ndarray:
        """Log density at all draws of a data set, `(draw,)`; −inf where the draws are impossible.

        Arguments:
            known: Data and context of one data set.
            draws: Parameters, `(draw, *event)`.
            at: Which draws these are.
            nan: Whether it may be NaN, as where numbers overflow.

        Errors:
            UserFunctionError: A function raised, or gave what is no log density.
        """
        total = self.log_prior(known, draws, at, nan=nan)
        possible = np.flatnonzero(~np.isneginf(total))
        at.advance(len(total) - len(possible))
        if len(possible):
            own = {name: value[possible] for name, value in draws.items()}
            total[possible] += _summed(self.each(known, own, at, nan=nan))
        return total

    def each(
        self,
        known: Mapping[str, Any],
        draws: Mapping[str, np.ndarray],
        at: At,
        *,
        nan: bool = False,
    ) -> np.ndarray:
        """Log likelihood as its function gives it: `(draw,)`, or a value for each member.

        Arguments, Errors:
            As for `of_data_set`.
        """
        return _evaluated(self.likelihood, known, draws, at, nan=nan)

    def log_prior(
        self,
        known: Mapping[str, Any],
        draws: Mapping[str, np.ndarray],
        at: At,
        *,
        nan: bool = False,
    ) -> np.ndarray:
        """Log density of the prior at all draws, `(draw,)`; −inf outside its support, 0 if unknown.

        Arguments, Errors:
            As for `of_data_set`.
        """
        number = len(next(iter(draws.values())))
        if isinstance(self.prior, Declared):
            named = {n: np.broadcast_to(v, (number, *np.shape(v))) for n, v in known.items()}
            return self.prior.log_density({**named, **draws})
        if self.prior is None:
            return np.zeros(number)
        return _summed(_evaluated(self.prior, known, draws, at, nan=nan))


def _summed(values: np.ndarray) -> np.ndarray:
    """The sum over members, `(draw,)`."""
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))


def _evaluated(
    function: UserFunction,
    known: Mapping[str, Any],
    draws: Mapping[str, np.ndarray],
    at: At,
    *,
    nan: bool,
) -> np.ndarray:
    """A log density, `(draw, *event)`."""
    name = f"the log density by {function.name}"
    values = evaluated(name, function, known, draws, at, nan=nan)
    refuse_where(np.isposinf(values), f"{name} is +inf, as none is,", function, draws, at)
    return values
