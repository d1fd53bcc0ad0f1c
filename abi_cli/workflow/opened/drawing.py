"""Posterior draws on their way: their number, their seed, their header."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from abi_cli import __version__
from abi_cli.data import (
    Disagreement,
    DrawHeader,
    Draws,
    Loaded,
    Statistics,
    Style,
    collect,
    disagreement_note,
)
from abi_cli.data.beyond import Beyond
from abi_cli.data.draws import USUAL_STYLE
from abi_cli.errors import UsageError
from abi_cli.listener import Listener
from abi_cli.model.family import tails_of
from abi_cli.ranges import Range, ranges_of
from abi_cli.run import MODEL, Run
from abi_cli.spec import Spec
from abi_cli.variables import DrawBlock
from abi_cli.workflow.naming import label_attribute
from abi_cli.workflow.opened.opening import has_draws
from abi_cli.workflow.opened.selecting import computing, quantity_variables
from abi_cli.workflow.request import Model

USUAL_DRAWS = 1000


@dataclass(frozen=True)
class Drawing:
    """The way in which posteriors are drawn from.

    Arguments:
        draws: How many per data set.
        seed: That they are made from.
        model: Whose quantities are computed, too; None for parameters alone.
        style: Of names and numbers in tables.
    """

    draws: int
    seed: int
    model: Model | None = None
    style: Style = USUAL_STYLE


@dataclass(frozen=True)
class Drawn:
    """Posterior draws on their way; use them once.

    Arguments:
        header: What is known before the first one.
        blocks: The draws.
        watch: What they say of an ensemble, when all have come.
    """

    header: DrawHeader
    blocks: Iterator[DrawBlock]
    watch: Disagreement

    def collect(self) -> Draws:
        """All draws, in memory."""
        draws = collect(self.header, self.blocks)
        return replace(draws, disagreement=self.watch.shares())


@dataclass(frozen=True)
class Estimates:
    """Point estimates on their way; use them once.

    Arguments:
        names: Of what is estimated: `mean`, `sd`, `q5`, ….
        elements: What it is estimated of: `beta[0]`, `beta[1]`, `sigma`.
        parts: The estimates of some data sets at a time.
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    parts: Iterator[Statistics]


def drawing_of_estimates(
    run: Run, spec: Spec, *, draws: int | None, seed: int | None, usual_seed: int | None = None
) -> Drawing | None:
    """The draws for a run's estimates; None for a network that gives estimates itself.

    Arguments:
        draws: How many per data set; 1,000 by default.
        usual_seed: Where none is asked for; the run's by default.

    Errors:
        UsageError: Draws or a seed are asked for where there are none, or too few draws.
    """
    if not has_draws(spec):
        if draws is not None or seed is not None:
            raise UsageError(
                f"{spec.networks.inference.name}, the network of {run.path}, estimates without "
                "draws, and has no use for their number or seed",
                hint="Leave out --draws and --seed.",
            )
        return None
    draws = USUAL_DRAWS if draws is None else draws
    if draws < 2:
        raise UsageError(f"expected 2 draws at least, to estimate sds of; got {draws}")
    usual = run.manifest.seed if usual_seed is None else usual_seed
    return Drawing(draws, usual if seed is None else seed)


def header_of(
    run: Run,
    titles: Mapping[str, str],
    drawing: Drawing,
    first: Loaded,
    labels: list[str],
    scores: Mapping[str, list[float]],
) -> DrawHeader:
    """The header of draws, before the first one.

    Arguments:
        titles: Name of a parameter's element → its label.
        first: The first of the data sets; what quantities there are depends on these.
        labels, scores: Of these; they grow as more come.
    """
    model = drawing.model
    return DrawHeader.of(
        first.datasets,
        run.layout,
        labels=labels,
        draws=drawing.draws,
        seed=drawing.seed,
        provenance={
            "abi": __version__,
            "run": run.manifest.name,
            "model_sha256": run.manifest.hashes[MODEL],
            **label_attribute(titles),
        },
        more=[] if model is None else quantity_variables(model, first.datasets),
        style=drawing.style,
        scores=scores,
    )


def growing(
    labels: list[str],
    scores: Mapping[str, list[float]],
    first: Loaded,
    others: Iterable[Loaded],
) -> Iterator[Loaded]:
    """All data sets; `labels` and `scores`, which are those of the first, grow as they come."""
    yield first
    for loaded in others:
        labels += loaded.labels
        for name, own in scores.items():
            own += loaded.scores[name].tolist()
        yield loaded


def drawn_from(
    parts: Iterable[Loaded],
    draw: Callable[..., Iterator[DrawBlock]],
    header: DrawHeader,
    drawing: Drawing,
    *,
    total: int | None,
    listener: Listener,
) -> Iterator[DrawBlock]:
    """The draws of all data sets, with what quantities are asked for.

    Arguments:
        draw: Data sets, `first=` the place of the first of them → their draws.
        total: How many draws there will be; None where that is not known.
    """
    model, begun = drawing.model, 0
    with ExitStack() as tasks:
        progress = tasks.enter_context(listener.task("sampling", total, "draws"))
        if model is not None:
            computed = tasks.enter_context(computing(model.quantities, total, listener))
        for loaded in parts:
            blocks: Iterable[DrawBlock] = draw(loaded, first=begun)
            if model is not None:
                names = model.quantities.names
                blocks = model.quantities.added(
                    blocks,
                    loaded.datasets,
                    first=begun,
                    seed=drawing.seed,
                    events={v.name: v.event for v in header.parameters if v.name in names},
                    advance=computed.advance,
                    labels=loaded.labels,
                )
            for block in blocks:
                yield block
                datasets, draws = block.shape
                progress.advance(datasets * draws)
            begun += len(loaded.labels)


def known_ranges(run: Run, spec: Spec) -> dict[str, Range]:
    """Name of a parameter's element → where its prior is, by the pilot and as it is declared."""
    declared = spec.model.declared("prior") if spec.model is not None else {}
    return ranges_of(run.layout, tails_of(declared))


def watched(
    blocks: Iterable[DrawBlock],
    watch: Disagreement,
    labels: Sequence[str],
    ranges: Mapping[str, Range],
    listener: Listener,
) -> Iterator[DrawBlock]:
    """Draws as they come; after the last, warnings about them.

    They are of members of an ensemble that disagree, and of draws that no prior gave.
    """
    beyond = Beyond(ranges)
    yield from beyond.watching(watch.watching(blocks))
    if outside := [*beyond.sentences(labels)]:
        listener.warn(
            "\n".join(outside),
            hint="If the prior has a bound there, declare it, or constrain the parameter in the "
            "adapter, and train again. If not, are the data like the simulations?",
        )
    told = disagreement_note(watch.shares(), labels)
    if told is not None:
        listener.warn(
            told,
            hint="Don't rely on these posteriors: are the data like the simulations? If so, train "
            "longer.",
        )
