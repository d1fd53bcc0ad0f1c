"""Descriptions of a run folder, of a file of draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from abi_cli.data import STATISTICS, Draws, Statistics, read_answers, summarize
from abi_cli.data.chains import is_ours, read_chains
from abi_cli.data.entries import listing
from abi_cli.data.statistics import interval, looks_like_a_chain
from abi_cli.errors import RunError
from abi_cli.listener import SILENT, Listener
from abi_cli.run import DIAGNOSTICS, METRICS, Run, look, open_run
from abi_cli.run.model_file import damaged, read_config
from abi_cli.spec import read_source
from abi_cli.spec.reader import read_document
from abi_cli.variables import Layout
from abi_cli.workflow.naming import labels_in, titles_of
from abi_cli.workflow.opened.opening import spec_of
from abi_cli.workflow.request import STDIN, need_piped


@dataclass(frozen=True)
class LearnedState:
    """State that a step of the adapter learned, as plain lists; some steps have none."""

    step: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Description:
    """The description of a run folder.

    Arguments:
        adapter: Its steps; none before training has ended.
        verdict: What the last diagnosis said; None before there is one.
        files: File or folder, relative to the run → its size in bytes.
        changed: What training has written and is not as it was.
    """

    run: Run
    spec: dict[str, Any]
    layout: Layout
    adapter: tuple[LearnedState, ...]
    history: list[dict[str, float]]
    verdict: dict[str, Any] | None
    files: dict[str, int]
    changed: tuple[str, ...] = ()


def show(path: Path) -> Description:
    """Describe a run without executing any of its Python or loading its networks.

    Errors:
        RunError: It is no run, or a damaged one.
    """
    run = look(path)
    trained = run.manifest.trained
    return Description(
        run=run,
        spec=read_document(read_source(run.spec_file())).tree,
        layout=run.layout,
        adapter=_learned(run.model_file()) if trained else (),
        history=run.history(),
        verdict=verdict_in(path / DIAGNOSTICS / METRICS),
        files={entry.name: _size(entry) for entry in sorted(path.iterdir())},
        changed=run.changed(),
    )


def _learned(model: Path) -> tuple[LearnedState, ...]:
    """The adapter's state, from the JSON inside a native Keras archive."""
    config = read_config(model)
    try:
        adapter = config["adapter"]
        return tuple(
            LearnedState(next(iter(step)), {name: array["values"] for name, array in state.items()})
            for step, state in zip(adapter["steps"], adapter["states"], strict=True)
            if state
        )
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise damaged(model, f"its adapter is none of abi's: {error!r}") from error


def verdict_in(metrics: Path) -> dict[str, Any] | None:
    """The verdict of a diagnosis; None where there is none.

    Errors:
        RunError: It can't be read.
    """
    if not metrics.is_file():
        return None
    try:
        verdict: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))["verdict"]
        if not all(isinstance(verdict[key], str) for key in ("outcome", "sentence")):
            raise TypeError("expected a verdict in words")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(
            f"{metrics} can't be read: {error}", hint="Diagnose the run again."
        ) from error
    return verdict


def _size(entry: Path) -> int:
    files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def summary(
    draws: Path,
    *,
    mass: float = 0.9,
    kind: str = "eti",
    run: Path | None = None,
    listener: Listener = SILENT,
) -> Statistics:
    """Mean, sd, Monte Carlo error, median and an interval of a file of draws.

    A file of estimates, as `abi sample --points` and `abi estimate` write it, is what it is.

    Arguments:
        draws: A file, or `-` for standard input.
        mass: Of the interval.
        kind: `eti`, with equal tails, or `hdi`, the shortest one.
        run: Whose labels parameters get.

    Errors:
        UsageError: No such interval.
        DataError: It is no file of draws.
        RunError: There is no such run.
    """
    ends = interval(mass, kind)
    need_piped(draws)
    titles: Mapping[str, str] = {}
    if run is not None:
        opened = open_run(run)
        titles = titles_of(spec_of(opened, trust_code=False), opened.layout)
    found = read_posteriors(draws)
    if isinstance(found, Statistics):
        return replace(found, titles=titles)
    close = [name for name, own in found.elements().items() if looks_like_a_chain(own)]
    if close and not found.chains:
        listener.warn(
            f"draws are taken as independent, but those of {listing(close)} follow each other as "
            "in a Markov chain: then mcse is too small",
            hint="In netCDF of ArviZ, or with a column chain, their autocorrelation is counted.",
        )
    made = summarize(found, (*STATISTICS[:4], *ends))
    return replace(made, titles=titles or labels_in(found.provenance))


def read_posteriors(file: Path) -> Draws | Statistics:
    """Draws, or estimates; of netCDF of other tools draws with their chains."""
    if file == STDIN:
        return read_answers(None)
    if file.suffix in (".nc", ".netcdf") and file.is_file() and not is_ours(file):
        return read_chains(file)
    return read_answers(file)
