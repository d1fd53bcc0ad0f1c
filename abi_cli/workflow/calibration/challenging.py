"""Challenging a run: rivals learn from its model, and judge it on held-out data sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abi_cli.diagnostics.challenge import Challenge
from abi_cli.errors import UsageError
from abi_cli.variables import Datasets
from abi_cli.workflow.request import Model
from abi_cli.workflow.session import Session

if TYPE_CHECKING:
    from abi_cli.challenge import Challenger


@dataclass
class Challenging:
    """A challenge of a run, whose rivals learn when they are first asked.

    Arguments:
        session, model: The run's.
        seconds: That rivals may learn.
        seed: Of fresh simulations, and of draws.
    """

    session: Session
    model: Model
    seconds: float
    seed: int
    _challenger: Challenger | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.model.simulator is None:
            raise UsageError(
                f"rivals learn from fresh simulations, and the spec of {self.session.run.path} has "
                "no model to simulate from",
                hint="Leave --challenge out; or add `model:` to the spec, and train again.",
            )

    def against(self, simulated: Datasets) -> Challenge:
        """Findings of rivals on simulated data sets.

        Errors:
            UserFunctionError: A simulation failed.
        """
        if self._challenger is None:
            self._challenger = self._learned()
        with self.session.listener.task("comparing with rivals"):
            return self._challenger.against(simulated, seed=self.seed)

    def _learned(self) -> Challenger:
        from abi_cli.challenge import Challenged, Rules, challenge

        session = self.session
        with session.compute.pool() as workers:
            what = Challenged(
                session.networks,
                session.spec,
                self.model.need_simulator(),
                self.seed,
            )
            return challenge(what, workers, Rules(self.seconds), session.listener)
