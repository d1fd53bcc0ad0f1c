"""Point estimates of the parameters of data sets, from a run. None of its Python is executed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abi_cli.data import Kind, Statistics, formats, joined, write_estimates
from abi_cli.data.draws import USUAL_STYLE
from abi_cli.data.statistics import OF_DRAWS
from abi_cli.listener import SILENT, Listener
from abi_cli.workflow.opened.drawing import Drawing, drawing_of_estimates
from abi_cli.workflow.opened.guarded import OnUnlike
from abi_cli.workflow.opened.reading import Batches, Data
from abi_cli.workflow.request import USUAL_COMPUTE, USUAL_PLACE, Compute, Target
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import Written


@dataclass(frozen=True)
class Estimating:
    """Estimates that are about to be made; use it once, for a table or for a file.

    Arguments:
        drawing: Of the draws that they are of; None for a network that gives them itself.
        names: Of statistics of draws.
    """

    session: Session
    data: Batches
    drawing: Drawing | None
    names: Sequence[str] = OF_DRAWS
    target: Target = USUAL_PLACE

    def estimates(self) -> Statistics:
        """All estimates, in memory."""
        parts = self.session.estimates(self.data, self.drawing, self.names).parts
        return replace(joined(parts), titles=self.session.titles)

    def write(self) -> Written:
        """Write them to the target.

        Errors:
            OutputError: It can't be written.
        """
        begun = time.perf_counter()
        made = self.session.estimates(self.data, self.drawing, self.names)
        path, drawing = self.target.path, self.drawing
        style = USUAL_STYLE if drawing is None else drawing.style
        datasets = write_estimates(
            path, made.names, made.parts, format=self.target.format, style=style
        )
        what = f"{', '.join(made.names)} of {', '.join(made.elements)} in {datasets:,} data sets"
        seed = None if drawing is None else drawing.seed
        return Written(path, what, seed, time.perf_counter() - begun)


def estimate(
    path: Path,
    data: Data,
    *,
    draws: int | None = None,
    seed: int | None = None,
    usual_seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    refine: bool = False,
    on_unlike: OnUnlike = OnUnlike.WARN,
    listener: Listener = SILENT,
) -> Estimating:
    """Read data sets and make ready to estimate their parameters.

    Arguments:
        path: The run folder.
        data: A file of data sets, `-` for standard input, or several.
        draws: How many per data set the estimates are of, 1,000 by default, where the network of
            the run is sampled; a `point` network gives its own, without draws.
        seed: Seed of the draws; `usual_seed` by default.
        usual_seed: A default, which a network without draws leaves unused; the run's by default.
        trust_code: Whether to execute parts of the run's own, if it has any.
        refine: Whether to make posteriors exact by the run's `log_likelihood`, which is executed.
        on_unlike: What is done about data sets that look unlike the simulations.

    Errors:
        UsageError: Draws are asked for where there are none.
        RunError, DataError, OutputError: As they say.
    """
    formats.for_writing(target.path, target.format, Kind.ESTIMATES)
    session = Session.open(
        path,
        compute=compute,
        trust_code=trust_code,
        refine=refine,
        listener=listener,
        on_unlike=on_unlike,
    )
    drawing = drawing_of_estimates(
        session.run, session.spec, draws=draws, seed=seed, usual_seed=usual_seed
    )
    target.claim()
    session.say_what_may_be_refined()
    return Estimating(session, session.read(data), drawing, target=target)
