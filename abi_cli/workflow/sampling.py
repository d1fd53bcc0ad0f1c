"""Posterior draws of data sets, from a run. None of its Python is executed but for quantities."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abi_cli.data import STATISTICS, Kind, Statistics, Style, formats, joined, open_draws, summarize
from abi_cli.data.draws import USUAL_STYLE
from abi_cli.data.statistics import fewest_draws, parse
from abi_cli.errors import UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.workflow.estimating import Estimating
from abi_cli.workflow.opened.drawing import USUAL_DRAWS, Drawing
from abi_cli.workflow.opened.guarded import OnUnlike
from abi_cli.workflow.opened.opening import refuse_without_draws
from abi_cli.workflow.opened.reading import Batches, Data
from abi_cli.workflow.opened.selecting import USUAL_SELECTION, Selection
from abi_cli.workflow.request import USUAL_COMPUTE, USUAL_PLACE, Compute, Target
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import Written


@dataclass(frozen=True)
class Shape:
    """The shape of a file of draws.

    Arguments:
        style: Of names and numbers in tables.
        long: A row for each element of a draw, in tables.
        points: Statistics that are written instead of draws, `mean,sd,q5`; see `data.statistics`.
    """

    style: Style = USUAL_STYLE
    long: bool = False
    points: str | None = None

    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics.

        Errors:
            UsageError: One is unknown, or goes with `long`.
        """
        if self.points is not None and self.long:
            raise UsageError("expected --long or --points; got both")
        return () if self.points is None else parse(self.points)

    def refuse_too_few(self, draws: int) -> None:
        """Refuse to estimate from fewer draws than it takes.

        Errors:
            UsageError: There are.
        """
        refuse_too_few(self.statistics(), draws)

    def fits(self, codec: formats.Codec) -> bool:
        """True if a format has a place for such a file."""
        kind = Kind.LONG_DRAWS if self.long else Kind.DRAWS
        wanted = kind if self.points is None else Kind.ESTIMATES
        return wanted in codec.holds and (codec.table or self.style == USUAL_STYLE)


def refuse_too_few(names: Sequence[str], draws: int) -> None:
    """Refuse statistics of fewer draws than they take.

    Errors:
        UsageError: There are.
    """
    if draws < fewest_draws(names):
        raise UsageError(f"expected 2 draws at least, for {', '.join(names)}; got {draws}")


USUAL_SHAPE = Shape()


@dataclass(frozen=True)
class Sampling:
    """Posterior draws that are about to be made; use it once, for a table or for a file.

    Arguments:
        data: Data sets, as they come.
        shape: Of the file.
    """

    session: Session
    data: Batches
    drawing: Drawing
    target: Target = USUAL_PLACE
    shape: Shape = USUAL_SHAPE

    def summary(self) -> Statistics:
        """The statistics that are asked for, or mean, sd and others, instead of draws."""
        names = self.shape.statistics() or STATISTICS
        if self.session.refiner is not None and self.drawing.model is None:
            found = joined(self.session.estimates(self.data, self.drawing, names).parts)
        else:
            draws = self.session.drawn(self.data, self.drawing).collect()
            found = summarize(draws, names)
        return replace(found, titles=self.session.titles)

    def write(self) -> Written:
        """Write the draws to the target.

        Errors:
            OutputError: It can't be written.
        """
        if names := self.shape.statistics():
            return Estimating(self.session, self.data, self.drawing, names, self.target).write()
        begun = time.perf_counter()
        drawn = self.session.drawn(self.data, self.drawing)
        header, path, format = drawn.header, self.target.path, self.target.format
        with open_draws(path, header, format=format, long=self.shape.long) as writer:
            for block in drawn.blocks:
                writer.write(block)
        elements = ", ".join(header.elements())
        what = f"{len(header.labels):,} × {header.draws:,} posterior draws of {elements}"
        return Written(path, what, header.seed, time.perf_counter() - begun)


def sample(
    path: Path,
    data: Data,
    *,
    draws: int = USUAL_DRAWS,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    shape: Shape = USUAL_SHAPE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    quantities: bool = False,
    selection: Selection = USUAL_SELECTION,
    refine: bool = False,
    on_unlike: OnUnlike = OnUnlike.WARN,
    listener: Listener = SILENT,
) -> Sampling:
    """Read data sets and make ready to draw from their posteriors.

    Arguments:
        path: The run folder.
        data: A file of data sets, `-` for standard input, or several.
        draws: How many per data set.
        seed: The run's by default.
        shape: What a file of them looks like.
        trust_code: Whether to execute parts of the run's own, if it has any.
        quantities: Whether to compute those of the spec, too, by the run's own code.
        selection: More of them, or fewer.
        refine: Whether to make posteriors exact by the run's `log_likelihood`, which is executed.
        on_unlike: What is done about data sets that look unlike the simulations.

    Errors:
        UsageError: The network has no draws; a statistic is unknown.
        RunError, DataError, OutputError: As they say.
    """
    shape.refuse_too_few(draws)
    codec = formats.choose(target.path, target.format, shape.fits)
    session = Session.open(
        path,
        compute=compute,
        trust_code=trust_code,
        refine=refine,
        listener=listener,
        on_unlike=on_unlike,
    )
    refuse_without_draws(session.run, session.spec)
    target.claim()
    quantities = quantities or bool(selection.added)
    if selection.skipped and not quantities:
        raise UsageError("expected --skip with --quantities; got it alone")
    whole = quantities or (codec.counts_first and shape.points is None)
    batches = session.read(data, whole=whole)
    model = session.with_quantities(selection) if quantities else None
    drawing = Drawing(draws, session.seed if seed is None else seed, model, shape.style)
    session.say_what_may_be_refined()
    return Sampling(session, batches, drawing, target, shape)
