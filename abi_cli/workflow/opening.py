"""A run, opened: its networks, what it says of itself, data sets for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from abi_cli import backend, registry
from abi_cli.data import (
    Disagreement,
    Loaded,
    Naming,
    Part,
    can_stream,
    disagreement_told,
    oddities,
    read_batches,
    read_several,
)
from abi_cli.data.beyond import Beyond
from abi_cli.errors import RunError, UsageError
from abi_cli.listener import Listener
from abi_cli.model.modules import load_parts
from abi_cli.networks.network import InferenceNetwork
from abi_cli.ranges import ranges_of
from abi_cli.run import Run
from abi_cli.spec import Spec, read_spec
from abi_cli.variables import DrawBlock
from abi_cli.workflow.request import STDIN, Compute, Model, need_piped, read_model

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator


def open_approximator(run: Run, compute: Compute, listener: Listener) -> Approximator:
    """Load the networks of a run, with the backend that is wanted."""
    file = run.model_file()
    with listener.task("loading the networks"):
        backend.select(compute.backend, spec_backend=run.manifest.backend, device=compute.device)
        from abi_cli.archive import load_approximator

        approximator = load_approximator(file)
    if approximator.layout != run.layout:
        raise RunError(
            f"{file} has learned other variables than {run.path} says that it has",
            hint="Copy the run folder again, or train it again with --force.",
        )
    return approximator


@dataclass(frozen=True)
class DataFiles:
    """Files of data sets.

    Arguments:
        files: Paths, `-` for standard input, or `NAME=PATH` for one variable; several are joined by
            data set.
        each: Every file is a data set, called like the file.
        grouped: The rows of a data set follow each other in the file: it is read as it comes.
    """

    files: Sequence[Path | str]
    each: bool = False
    grouped: bool = False

    def parts(self) -> list[Part]:
        """What to read."""
        parts = []
        for file in self.files:
            name, equals, path = str(file).partition("=")
            named = equals and name.isidentifier() and not Path(file).exists()
            source = Path(path) if named else Path(file)
            need_piped(source)
            parts.append(Part(None if source == STDIN else source, name if named else None))
        return parts


def load_data(run: Run, data: Path | DataFiles, naming: Naming, listener: Listener) -> Loaded:
    """Read data sets for a run and say what is odd about them."""
    (loaded,) = load_batches(run, data, naming, listener, whole=True).parts
    return loaded


@dataclass(frozen=True)
class Batches:
    """Data sets as they come.

    Arguments:
        parts: Some of them at a time; at least one.
        whole: Whether the first part is all of them.
    """

    parts: Iterator[Loaded]
    whole: bool


def load_batches(
    run: Run, data: Path | DataFiles, naming: Naming, listener: Listener, *, whole: bool = False
) -> Batches:
    """Read data sets for a run as they come, and say once of each thing that it is odd.

    Arguments:
        whole: All of them at once, whatever the format.

    Errors:
        UsageError: No such format; groups are asked of what does not come in them.
        DataError: A file is not there, or not data of this model.
    """
    files = data if isinstance(data, DataFiles) else DataFiles([data])
    parts = files.parts()
    if files.grouped and (len(parts) > 1 or files.each):
        raise UsageError("expected one file with --grouped; got several, or --each")
    alone = len(parts) == 1 and parts[0].variable is None and not files.each
    batches: Iterable[Loaded]
    if alone and can_stream(parts[0], grouped=files.grouped) and not whole:
        batches = read_batches(parts[0], run.layout, naming=naming)
    else:
        batches, whole = [read_several(parts, run.layout, each=files.each, naming=naming)], True
    return Batches(_told(batches, run, listener), whole)


def _told(batches: Iterable[Loaded], run: Run, listener: Listener) -> Iterator[Loaded]:
    """The same; what is odd about them is said when it is first seen."""
    said: set[str] = set()
    for loaded in batches:
        for note in loaded.notes:
            if note not in said:
                listener.note(note)
                said.add(note)
        warnings = oddities(loaded.datasets, loaded.labels, run.layout)
        for name, warning in warnings.items():
            if name not in said:
                listener.warn(warning)
                said.add(name)
        yield loaded


def spec_of(run: Run, *, trust_code: bool) -> Spec:
    """The spec of a run, whose own parts are loaded if they are trusted.

    Errors:
        RunError: It was changed since, by more than its `data:` or `diagnostics:`.
        InvalidSpecError: It has parts of its own, and they are not.
    """
    file = run.trained_spec_file()
    if not trust_code:
        return read_spec(file)
    run.refuse_changed_code()
    return read_spec(file, load=partial(load_parts, run.path.resolve()))


def model_of(run: Run) -> Model:
    """The spec of a run with its functions: those that the networks have learned from.

    Errors:
        RunError: The spec (but for `data:` and `diagnostics:`) or the code was changed since.
    """
    run.trained_spec_file()
    run.refuse_changed_code()
    return read_model(run.path)


def has_draws(spec: Spec) -> bool:
    """Whether the posteriors of a spec's network can be sampled."""
    return registry.expected(spec.networks.inference, InferenceNetwork).has_draws


def refuse_without_draws(run: Run, spec: Spec) -> None:
    """Refuse to draw from what gives estimates alone.

    Errors:
        UsageError: The run's network has no draws.
    """
    if not has_draws(spec):
        raise UsageError(
            f"{run.path} has no posterior draws: its network, {spec.networks.inference.name}, "
            "gives estimates alone",
            hint=f"abi estimate {run.path} DATA; for draws, train it with another network, "
            "such as -s networks.inference=coupling_flow",
        )


def refuse_without_density(run: Run, spec: Spec) -> None:
    """Refuse to ask for densities where there are none.

    Errors:
        UsageError: The run's network has none.
    """
    network = registry.expected(spec.networks.inference, InferenceNetwork)
    if not network.has_density:
        raise UsageError(
            f"{run.path} has no posterior density: its network, {network.name}, has none",
            hint="Train it with another network, such as -s networks.inference=coupling_flow",
        )


def watched(
    blocks: Iterable[DrawBlock],
    watch: Disagreement,
    labels: Sequence[str],
    run: Run,
    listener: Listener,
) -> Iterator[DrawBlock]:
    """The same draws; after the last, warnings about them.

    They are of members of an ensemble that disagree, and of draws that no prior gave.
    """
    beyond = Beyond(ranges_of(run.layout))
    yield from beyond.watching(watch.watching(blocks))
    for text in beyond.told(labels):
        listener.warn(
            text,
            hint="If the prior has a bound there, declare it, or constrain the parameter in the "
            "adapter, and train again. If not, are the data like the simulations?",
        )
    told = disagreement_told(watch.shares(), labels)
    if told is not None:
        listener.warn(
            told,
            hint="Don't rely on these posteriors: are the data like the simulations? If so, train "
            "longer.",
        )
