"""The model's joint density on the scale that its networks work on.

With t = t(θ), the adapter's `inference_variables`,

    log p(y, t) = log p(y | θ) + log p(θ) − log |det ∂t/∂θ|.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.adapter.adapter import INFERENCE_VARIABLES, Adapter
from abi_cli.errors import SpecError
from abi_cli.model.declared import Declared
from abi_cli.model.density import LogDensity
from abi_cli.model.evaluation import At, refuse_where, said_of
from abi_cli.variables import Layout


@dataclass(frozen=True)
class Joint:
    """The log joint density of data and `inference_variables`. It can cross processes.

    Arguments:
        density: The model's, with that of the prior.
        adapter: Fitted; the steps that parameters go through have a log-determinant.
    """

    density: LogDensity
    adapter: Adapter

    @classmethod
    def of(cls, density: LogDensity, adapter: Adapter, layout: Layout) -> Joint:
        """The joint density of a run.

        Errors:
            SpecError: The prior's density isn't known, or that of parameters that the run has not
                learned is needed.
        """
        if density.prior is None:
            raise SpecError(
                "can't refine without the density of the prior: a function draws it, or not all "
                "that it draws are parameters of the posterior",
                hint="Name that function's: log_prior: FILE.py:FUNCTION; or declare the prior.",
                place="model.log_prior",
            )
        drawn = {variable.name for variable in layout.of("parameter", "nuisance")}
        prior = density.prior
        own = prior.variables if isinstance(prior, Declared) else prior.arguments
        needed = drawn.intersection({*density.likelihood.arguments, *own})
        if missing := sorted(needed - adapter.parameters):
            raise SpecError(
                f"can't refine: the density takes {', '.join(missing)}, which the posterior of "
                "this run doesn't have",
                hint="Let the adapter bring all parameters to inference_variables.",
                place="model.log_likelihood",
            )
        return cls(density, adapter)

    def parameters(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters `(draw, *event)` on the user's scale, of `theta (draw, dim)`, float64."""
        with np.errstate(all="ignore"):
            made = self.adapter.inverse({INFERENCE_VARIABLES: theta})
        return {name: np.asarray(made[name]) for name in sorted(self.adapter.parameters)}

    def log_density(
        self, known: Mapping[str, Any], theta: np.ndarray, dataset: int = 0, label: str = ""
    ) -> np.ndarray:
        """Log p(y, t) of draws of one data set, `(draw,)`; −inf where they are impossible.

        It is NaN where the person's functions say so: far from the data their numbers overflow.

        Arguments:
            known: Its data, context and given.
            theta: `(draw, dim)`, t.
            dataset, label: Its place among all, and what messages call it.

        Errors:
            UserFunctionError: A function raised, or gave what is no log density.
        """
        parameters = self.parameters(theta)
        finite = np.isfinite(theta).all(axis=1)
        for value in parameters.values():
            finite &= np.isfinite(value.reshape(len(theta), -1)).all(axis=1)
        result = np.full(len(theta), -np.inf)
        rows = np.flatnonzero(finite)
        if len(rows):
            own = {name: value[rows] for name, value in parameters.items()}
            with np.errstate(all="ignore"):  # far from the data, densities underflow
                joint = self.density.of_data_set(known, own, At(dataset, label=label), nan=True)
                moved = joint - self.adapter.log_det(own)
            result[rows] = np.where(np.isnan(moved) & ~np.isnan(joint), -np.inf, moved)
        return result

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """A context in which the person's functions are called again and again."""
        with ExitStack() as stack:
            for function in self.density.functions:
                stack.enter_context(function.at_hand())
            yield

    def refuse_unknown(
        self, log_p: np.ndarray, theta: np.ndarray, dataset: int = 0, label: str = ""
    ) -> None:
        """Refuse log densities `(draw,)` of `theta (draw, dim)` that are NaN.

        Errors:
            UserFunctionError: One is.
        """
        function = self.density.likelihood
        what = f"the log density by {function.name} is not a number (NaN)"
        at = At(dataset, label=label)
        refuse_where(np.isnan(log_p), what, function, self.parameters(theta), at)

    def example(self, theta: np.ndarray) -> str:
        """Parameters of `theta (dim,)`, in words."""
        return said_of(self.parameters(theta[None]), 0)


MOST_UNKNOWN = 0.5
"""Share of candidates whose density may be NaN."""


@dataclass(frozen=True)
class Evaluation:
    """The density of some candidates of a data set, as a task.

    Arguments:
        known: Data, context and given.
        theta: `(candidate, dim)`.
        dataset, label: Its place among all, and what messages call it.
    """

    joint: Joint
    known: Mapping[str, Any]
    theta: np.ndarray
    dataset: int
    label: str

    def done(self) -> np.ndarray:
        """Log p(y, t) of each, `(candidate,)`; NaN where numbers overflow.

        Errors:
            UserFunctionError: It is for most.
        """
        log_p = self.joint.log_density(self.known, self.theta, self.dataset, self.label)
        if np.isnan(log_p).mean() > MOST_UNKNOWN:
            self.joint.refuse_unknown(log_p, self.theta, self.dataset, self.label)
        return log_p
