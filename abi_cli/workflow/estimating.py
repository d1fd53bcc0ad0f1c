"""Point estimates of the parameters of data sets, from a run. None of its Python is executed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.data import (
    Disagreement,
    DrawHeader,
    Kind,
    Loaded,
    Statistics,
    estimates_of,
    formats,
    joined,
    write_estimates,
)
from abi_cli.data.statistics import OF_DRAWS
from abi_cli.errors import UsageError
from abi_cli.listener import Listener
from abi_cli.run import Run, open_run
from abi_cli.spec import Spec
from abi_cli.variables import DrawBlock
from abi_cli.workflow.naming import naming_of, titles_of
from abi_cli.workflow.opening import (
    Batches,
    DataFiles,
    has_draws,
    load_batches,
    open_approximator,
    spec_of,
    watched,
)
from abi_cli.workflow.refusing import refusing, refusing_among
from abi_cli.workflow.request import USUAL_COMPUTE, USUAL_PLACE, Compute, Target
from abi_cli.workflow.simulating import Written

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

USUAL_DRAWS = 1000


@dataclass(frozen=True)
class Drawing:
    """The draws that estimates are made of.

    Arguments:
        draws: How many per data set.
        seed: That they are made from.
    """

    draws: int
    seed: int


def drawing(
    run: Run, spec: Spec, *, draws: int | None, seed: int | None, usual_seed: int | None = None
) -> Drawing | None:
    """What is to be drawn for the estimates of a run; None for a network that gives them itself.

    Arguments:
        usual_seed: Where none is asked for; None for the run's.

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


@dataclass(frozen=True)
class Estimating:
    """Estimates that are about to be made; use it once, for a table or for a file.

    Arguments:
        networks: Loads them.
        drawing: What is to be drawn for them, if anything.
        titles: Name of a parameter's element → its label.
    """

    run: Run
    data: Batches
    networks: Callable[[], Approximator]
    drawing: Drawing | None
    listener: Listener
    target: Target = USUAL_PLACE
    titles: Mapping[str, str] = field(default_factory=dict)

    def _begin(self) -> tuple[tuple[str, ...], Iterator[Statistics]]:
        """Names of what is estimated, and the estimates, some data sets at a time."""
        first = next(self.data.parts)
        networks = self.networks()
        batches = chain([first], self.data.parts)
        if self.drawing is None:
            names = tuple(networks.inference_network.names)
            return names, self._given(networks, names, batches)
        return OF_DRAWS, self._of_draws(networks, self.drawing, batches)

    def _given(
        self, networks: Approximator, names: tuple[str, ...], batches: Iterable[Loaded]
    ) -> Iterator[Statistics]:
        """Those that the network gives."""
        with self.listener.task("estimating"):
            for loaded in batches:
                with refusing(loaded, self.run.layout):
                    values = networks.estimate(loaded.datasets)
                single = {name: value.astype(np.float32) for name, value in values.items()}
                yield Statistics(tuple(loaded.labels), names, single)

    def _of_draws(
        self, networks: Approximator, drawing: Drawing, batches: Iterable[Loaded]
    ) -> Iterator[Statistics]:
        labels: list[str] = []
        watch = Disagreement(networks.members)

        def blocks() -> Iterator[DrawBlock]:
            for loaded in batches:
                first = len(labels)
                labels.extend(loaded.labels)
                drawn = networks.sample(
                    loaded.datasets,
                    draws=drawing.draws,
                    seed=drawing.seed,
                    first=first,
                    listener=self.listener if self.data.whole else None,
                )
                yield from refusing_among(drawn, loaded, self.run.layout)

        header = DrawHeader.of(
            {}, self.run.layout, labels=labels, draws=drawing.draws, seed=drawing.seed
        )
        return estimates_of(header, watched(blocks(), watch, labels, self.run, self.listener))

    def estimates(self) -> Statistics:
        """All of them."""
        return replace(joined(self._begin()[1]), titles=self.titles)

    def write(self) -> Written:
        """Write them to the target.

        Errors:
            OutputError: It can't be written.
        """
        begun = time.perf_counter()
        names, parts = self._begin()
        target = self.target
        datasets = write_estimates(target.path, names, parts, format=target.format)
        elements = [e for v in self.run.layout.of("parameter") for e in v.elements()]
        what = f"{', '.join(names)} of {', '.join(elements)} in {datasets:,} data sets"
        seed = None if self.drawing is None else self.drawing.seed
        return Written(target.path, what, seed, time.perf_counter() - begun)


def estimate(
    path: Path,
    data: Path | DataFiles,
    *,
    draws: int | None = None,
    seed: int | None = None,
    usual_seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    listener: Listener | None = None,
) -> Estimating:
    """Read data sets and make ready to estimate their parameters.

    Arguments:
        path: The run folder.
        data: A file of data sets, `-` for standard input, or several.
        draws: How many per data set the estimates are of, 1,000 by default, where the network of
            the run is sampled; a `point` network gives its own, without draws.
        seed: Of the draws; `usual_seed` by default.
        usual_seed: A default, which a network without draws leaves unused; the run's by default.
        trust_code: Whether to execute parts of the run's own, if it has any.

    Errors:
        UsageError: Draws are asked for where there are none.
        RunError, DataError, OutputError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    formats.for_writing(target.path, target.format, Kind.ESTIMATES)
    spec = spec_of(run, trust_code=trust_code)
    wanted = drawing(run, spec, draws=draws, seed=seed, usual_seed=usual_seed)
    target.claim()
    batches = load_batches(run, data, naming_of(spec), listener)
    networks = partial(open_approximator, run, compute, listener)
    titles = titles_of(spec, run.layout)
    return Estimating(run, batches, networks, wanted, listener, target, titles)
