"""The predictive densities of members of a set, each left out in turn, for a page about data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.data import Draws, Loaded
from abi_cli.diagnostics.posterior_page import Statement, Tone
from abi_cli.errors import UserFunctionError
from abi_cli.listener import Listener
from abi_cli.model.evaluation import At
from abi_cli.workflow.opened.refining import Refiner, may_refine
from abi_cli.workflow.opened.refusing import refusing
from abi_cli.workflow.request import Model
from abi_cli.workflow.session import Session

if TYPE_CHECKING:
    from abi_cli.refinement.leaving import Elpd


@dataclass(frozen=True)
class Scored:
    """The expected log predictive densities of data sets.

    Arguments:
        each: Row of a data set → its own; of those that could be refined.
        error: The reason why there are none, if the density is to blame.
    """

    each: Mapping[int, Elpd] = field(default_factory=dict)
    error: UserFunctionError | None = None

    def statements(self) -> Iterator[Statement]:
        """A statement on a density that can't be used."""
        if self.error is not None:
            yield Statement(
                Tone.WARNING,
                "The log_likelihood can't be used",
                f"{self.error.place + ': ' if self.error.place else ''}{self.error.message}.",
                self.error.hint,
            )


@dataclass(frozen=True)
class Scoring:
    """Scores members by the model's density, which is executed.

    Arguments:
        draws: Effective ones of each posterior that is refined.
        listener: Hears how refining went.
    """

    session: Session
    model: Model
    draws: int
    seed: int
    listener: Listener

    def of(self, loaded: Loaded, drawn: Draws, rows: Sequence[int]) -> Scored:
        """The scores of some data sets; empty where the model says no density of each member.

        Arguments:
            drawn: Draws of all data sets.
            rows: The data sets that are wanted.
        """
        if not rows or not may_refine(self.session.spec):
            return Scored()
        workers = self.session.compute.workers()
        refiner = Refiner(self.session.run, self.model, workers, self.listener)
        try:
            if not self._has_members(refiner, loaded, drawn, rows[0]):
                return Scored()
            return Scored(self._each(refiner, loaded, rows))
        except UserFunctionError as error:
            return Scored(error=error)

    def _has_members(self, refiner: Refiner, loaded: Loaded, drawn: Draws, row: int) -> bool:
        """True if the density has a value for each member; refining is dear, and this is cheap."""
        density = self.model.judged.density
        if density is None:
            return False
        few = {n: v[row, :2] for n, v in drawn.values.items() if n in self.session.run.layout}
        at = At(row, label=loaded.labels[row])
        values = density.each(refiner.known(loaded.datasets, row), few, at)
        return values.ndim > 1 and values.shape[1:] != (1,)

    def _each(self, refiner: Refiner, loaded: Loaded, rows: Sequence[int]) -> dict[int, Elpd]:
        wanted = loaded.of(np.array(rows))
        networks = self.session.networks
        made = refiner.refined(networks, wanted, draws=self.draws, seed=self.seed)
        found = {}
        with (
            refusing(wanted, self.session.run.layout),
            self.listener.task("refining", len(rows), "data sets") as progress,
        ):
            for place, (joint, one) in enumerate(made):
                own = refiner.by_member(joint, wanted, place, one)
                if own is not None and one.certificate.how != "failed":
                    found[rows[place]] = own
                progress.advance()
        refiner.tell()
        return found
