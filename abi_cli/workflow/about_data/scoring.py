"""The exact posteriors of data sets on a page, and predictive densities of members left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.data import Draws, Loaded
from abi_cli.diagnostics.posterior_page import Statement, Tone
from abi_cli.errors import UserFunctionError
from abi_cli.listener import Listener
from abi_cli.precision import refuse_not_finite
from abi_cli.workflow.opened.refining import Refiner, may_refine
from abi_cli.workflow.opened.refusing import refusing
from abi_cli.workflow.request import Model
from abi_cli.workflow.session import Session

if TYPE_CHECKING:
    from abi_cli.refinement.leaving import Elpd


@dataclass(frozen=True)
class Scored:
    """The posteriors of data sets by the model's density.

    Arguments:
        draws: Row of a data set → its exact draws, by parameter, `(draw, *event)`; of those that
            could be refined.
        left_out: Row of a data set → the expected log predictive density of its members.
        asked: Number of data sets that were to be refined.
        error: The reason why there are none, if the density is to blame.
    """

    draws: Mapping[int, Mapping[str, np.ndarray]] = field(default_factory=dict)
    left_out: Mapping[int, Elpd] = field(default_factory=dict)
    asked: int = 0
    error: UserFunctionError | None = None

    @property
    def all_exact(self) -> bool:
        """True if all posteriors that were to be refined were."""
        return 0 < self.asked == len(self.draws)

    def put_into(self, drawn: Draws) -> Draws:
        """Draws of all data sets, with the exact ones in their place."""
        values = {name: own.copy() for name, own in drawn.values.items()} if self.draws else {}
        for row, exact in self.draws.items():
            for name, own in exact.items():
                values[name][row] = own
        return replace(drawn, values=values or drawn.values)

    def statements(self) -> Iterator[Statement]:
        """A statement on what is exact, or on a density that can't be used."""
        if self.draws:
            whose = "The posteriors are" if self.all_exact else "Some posteriors are"
            which = f"Those of {len(self.draws):,} of {self.asked:,} data sets shown in full were"
            if self.asked == 1:
                whose, which = "The posterior is", "It was"
            yield Statement(
                Tone.GOOD,
                f"{whose} exact",
                f"{which} refined by the model's log_likelihood. A mode that the networks miss is "
                "not found by that.",
            )
        if self.error is not None:
            yield Statement(
                Tone.WARNING,
                "The log_likelihood can't be used",
                f"{self.error.place + ': ' if self.error.place else ''}{self.error.message}.",
                self.error.hint,
            )


@dataclass(frozen=True)
class Scoring:
    """The model's density, which is executed, for the data sets of a page.

    Arguments:
        draws: How many of each posterior.
        listener: Hears how refining went.
    """

    session: Session
    model: Model
    draws: int
    seed: int
    listener: Listener

    def of(self, loaded: Loaded, rows: Sequence[int]) -> Scored:
        """Exact posteriors of some data sets, and what members are expected given the others.

        A run that learned from data with errors (`training: {noise}`) keeps its own posteriors,
        which bear them.

        Arguments:
            rows: The data sets that are wanted.
        """
        if not rows or not may_refine(self.session.spec):
            return Scored()
        workers = self.session.compute.workers()
        refiner = Refiner(self.session.run, self.model, workers, self.listener)
        try:
            return self._each(refiner, loaded, rows)
        except UserFunctionError as error:
            return Scored(error=error)

    def _each(self, refiner: Refiner, loaded: Loaded, rows: Sequence[int]) -> Scored:
        wanted, run = loaded.of(np.array(rows)), self.session.run
        robust = self.session.spec.training.noise is not None
        made = refiner.refined(
            self.session.networks, wanted, draws=self.draws, seed=self.seed, resample=not robust
        )
        exact: dict[int, Mapping[str, np.ndarray]] = {}
        left_out: dict[int, Elpd] = {}
        with (
            refusing(wanted, run.layout),
            self.listener.task("refining", len(rows), "data sets") as progress,
        ):
            for place, (joint, one) in enumerate(made):
                progress.advance()
                if one.certificate.how == "failed":
                    continue
                own = refiner.by_member(joint, wanted, place, one)
                if own is not None:
                    left_out[rows[place]] = own
                if not robust:
                    parameters = joint.parameters(one.theta[one.draws])
                    values = run.layout.parameters_of(parameters, (self.draws,))
                    refuse_not_finite(*(v[None] for v in values.values()), first=place)
                    exact[rows[place]] = values
        refiner.tell()
        return Scored(exact, left_out, 0 if robust else len(rows))
