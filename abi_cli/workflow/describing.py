"""What is there: a run folder, a file of draws, the parts that a spec can name."""

from __future__ import annotations

import inspect
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abi_cli import registry
from abi_cli.data import Summary, read_draws, summarize
from abi_cli.errors import RunError, UsageError
from abi_cli.registry import Part
from abi_cli.run import DIAGNOSTICS, METRICS, Run, look
from abi_cli.spec import Spec, read_spec
from abi_cli.variables import Layout


@dataclass(frozen=True)
class LearnedState:
    """What a step of the adapter learned from the pilot, as plain lists; nothing in some steps."""

    step: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Description:
    """What a run folder holds.

    Arguments:
        adapter: Its steps; none before training has ended.
        verdict: What the last diagnosis said; None before there is one.
        files: File or folder, relative to the run → its size in bytes.
    """

    run: Run
    spec: Spec
    layout: Layout
    adapter: tuple[LearnedState, ...]
    history: list[dict[str, float]]
    verdict: dict[str, Any] | None
    files: dict[str, int]


def show(path: Path) -> Description:
    """Describe a run without executing any of its Python or loading its networks.

    Errors:
        RunError: It is no run, or a damaged one.
    """
    run = look(path)
    trained = run.manifest.trained
    return Description(
        run=run,
        spec=read_spec(run.spec_file()),
        layout=run.layout,
        adapter=_learned(run.model_file()) if trained else (),
        history=run.history(),
        verdict=_verdict(path / DIAGNOSTICS / METRICS),
        files={entry.name: _size(entry) for entry in sorted(path.iterdir())},
    )


def _learned(model: Path) -> tuple[LearnedState, ...]:
    """The adapter's state, from the JSON inside a native Keras archive."""
    try:
        with zipfile.ZipFile(model) as archive:
            adapter = json.loads(archive.read("config.json"))["config"]["adapter"]
        return tuple(
            LearnedState(next(iter(step)), {name: array["values"] for name, array in state.items()})
            for step, state in zip(adapter["steps"], adapter["states"], strict=True)
            if state
        )
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RunError(f"{model} can't be read: {error}") from error


def _verdict(metrics: Path) -> dict[str, Any] | None:
    if not metrics.is_file():
        return None
    try:
        verdict: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))["verdict"]
    except (KeyError, ValueError) as error:
        raise RunError(
            f"{metrics} can't be read: {error}", hint="Diagnose the run again."
        ) from error
    return verdict


def _size(entry: Path) -> int:
    files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def summary(draws: Path) -> Summary:
    """Mean, sd, Monte Carlo error and quantiles of a file of draws.

    Errors:
        DataError: It is no file of draws.
    """
    return summarize(read_draws(draws))


@dataclass(frozen=True)
class OptionDescription:
    """One option of a part; `default` is None where it must be given."""

    name: str
    default: str | None
    help: str


@dataclass(frozen=True)
class PartDescription:
    """A part that a spec can name."""

    kind: str
    name: str
    help: str
    options: tuple[OptionDescription, ...]


def parts(kind: str | None = None) -> list[PartDescription]:
    """The parts of one kind, or all.

    Errors:
        UsageError: There is no such kind.
    """
    kinds = tuple(registry.HOMES) if kind is None else _kinds(kind)
    return [_describe(registry.get(k, name)) for k in kinds for name in registry.names(k)]


def _kinds(words: str) -> tuple[str, ...]:
    """The kinds of part that are called so: `step`, `steps`, `summary_network`, `networks`."""
    singular = words.replace("_", " ").removesuffix("s")
    kinds = tuple(k for k in registry.HOMES if k == singular or k.endswith(f" {singular}"))
    if kinds:
        return kinds
    known = "s, ".join(registry.HOMES)
    raise UsageError(f"Expected a kind of part ({known}s); got {words!r}")


def _describe(part: type[Part]) -> PartDescription:
    return PartDescription(
        part.kind,
        part.name,
        inspect.getdoc(part) or "",
        tuple(
            OptionDescription(
                field.alias or name,
                None if field.is_required() else json.dumps(field.get_default(), default=str),
                field.description or "",
            )
            for name, field in part.model_fields.items()
        ),
    )
