"""Training: from a spec to a run folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from abi_cli import run
from abi_cli.adapter import Adapter
from abi_cli.digests import digest
from abi_cli.listener import SILENT, Listener
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.registry import Part
from abi_cli.run import ORIGINAL, room
from abi_cli.spec import DesignSection, Spec, dump_spec
from abi_cli.training.fitting import Fitted, refuse_untrainable
from abi_cli.training.stopping import Stop
from abi_cli.variables import Datasets, count, take
from abi_cli.workflow.findings import noise_findings
from abi_cli.workflow.learning import (
    Job,
    Receipt,
    learned,
    load_backend,
    telling_how_to_begin_again,
    versions,
)
from abi_cli.workflow.pointing import (
    pointing,
    refuse_unknown_names,
    telling_of_names,
)
from abi_cli.workflow.prior_findings import prior_findings, unused_findings
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    completed,
    read_model,
)
from abi_cli.workflow.stored import stored_simulations

_SOURCES = ("meta", "given", "prior", "likelihood", "log_likelihood", "log_prior", "quantities")
"""Fields of a spec's model that name functions or files."""

_REHEARSAL = 8
"""Rows that are simulated and adapted before anything is written or loaded."""
_STORED_REHEARSAL = 256
"""The same where stored simulations are read: enough to tell which context counts members."""


def train(
    source: Path,
    *,
    target: Target = USUAL_PLACE,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    stop: Stop | None = None,
    listener: Listener = SILENT,
) -> Receipt:
    """Learn the posterior of a spec's model and leave a run folder.

    Arguments:
        source: A spec or a run folder, whose spec is trained anew.
        target: The run folder; runs/NAME by default, NAME being the spec's.
        data: Stored simulations to learn from instead of fresh ones.
        stop: Lets others end the training early, with its state saved.

    Errors:
        SpecError, DataError, UserFunctionError, Diverged, OutputError, OutOfMemory: As they say.
        StoppedEarly: It was asked for; `resume` goes on.
    """
    begun = time.perf_counter()
    model = read_model(source, overrides=overrides)
    seed = model.spec.seed if seed is None else seed
    path = target.path or Path("runs") / model.spec.name
    model, stored = _rehearse(model, seed=seed, data=data, listener=listener)
    room.refuse_taken(path, force=target.force, by_run=True)
    if room.is_unfinished(path) and not room.is_only_begun(path):
        listener.note(f"{path} is unfinished: it is dropped as soon as this training is saved")
    # Processes that simulate start now, before the backend makes this one large.
    with Workers(compute.workers() if stored is None else 0) as workers:
        chosen = load_backend(compute, workers, listener, usual=model.spec.backend)
        job = Job(model, seed, stored, workers, stop or Stop(), listener, begun=begun)
        files, manifest = _first_files(model, seed=seed, backend=chosen, compute=compute)
        if stored is not None and data is not None:
            manifest = replace(manifest, stored=count(stored), data=_identity(data))
        with (
            telling_how_to_begin_again(path, listener),
            run.begin(path, manifest, files, force=target.force) as folder,
        ):
            return learned(folder, job)


def _identity(file: Path) -> tuple[str, ...]:
    """Where a file is and what it is told by; nothing of what came through a pipe."""
    return (str(file.resolve()), digest(file)) if file.is_file() else ()


def _rehearse(
    model: Model, *, seed: int, data: Path | None, listener: Listener
) -> tuple[Model, Datasets | None]:
    """Simulate, or read, and adapt a few rows, so that mistakes show before the backend is loaded.

    Returns:
        The model with its spec complete, and the stored simulations to learn from, if any.
    """
    stored = None
    if data is not None:
        stored = stored_simulations(data, model, seed=seed, listener=listener)
        few = take(stored, slice(0, _STORED_REHEARSAL))
    else:
        simulator = model.need_simulator()
        rows = max(_REHEARSAL, 2 * simulator.unit)
        with telling_of_names(model, seed=seed):
            few = simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=rows)
    with pointing(model):
        layout = model.layout(few)
        refuse_unknown_names(model.spec, layout)
        model.judged.refuse_unfit(layout)
    prior = model.prior(layout, seed=seed, stored=stored)
    findings = []
    if stored is None:
        simulator = model.need_simulator()
        findings += unused_findings(model.spec, simulator, prior)
        findings += noise_findings(model.spec, simulator, seed=seed)
    derived, model = model.spec.adapter is None, completed(model, few, prior)
    if derived:
        listener.note("derived the adapter from the model's variables: `abi fill` writes it out")
    with pointing(model, layout):
        adapter = Adapter.fit(model.spec.adapter or (), few, missing=layout.missing)
        refuse_untrainable(
            model.spec,
            stored=None if stored is None else count(stored),
            fitted=Fitted(adapter, layout, few),
        )
    for finding in [*findings, *prior_findings(layout, prior, adapter, derived=derived)]:
        listener.warn(finding.message, hint=finding.hint)
    return model, stored


def _first_files(
    model: Model, *, seed: int, backend: str, compute: Compute
) -> tuple[dict[str, bytes], run.Manifest]:
    """The files that a run begins with, and its manifest."""
    design = model.design()
    kept = [*model.files(), *([design] if design else [])]
    code = {file: _place(file, model.base) for file in kept}
    spec = _as_run(model, code, seed=seed, backend=backend)
    files = {
        run.SPEC: dump_spec(spec).encode(),
        ORIGINAL: model.document.source.text.encode(),
        **{name: file.read_bytes() for file, name in code.items()},
    }
    manifest = run.Manifest(
        name=spec.name,
        seed=seed,
        command=(Path(sys.argv[0]).name, *sys.argv[1:]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        backend=backend,
        device=compute.device or "default",
        versions=versions(backend),
        jobs=compute.jobs,
    )
    return files, manifest


def _place(file: Path, base: Path) -> str:
    """Where a run keeps a module: in code/, as it stands below the spec's folder.

    A run that is trained again keeps its code/ as it is; a module from elsewhere keeps its name.
    """
    if not file.is_relative_to(base):
        return f"{run.CODE}/{file.name}"
    inside = file.relative_to(base).as_posix()
    again = (base / run.MANIFEST).is_file() and inside.startswith(f"{run.CODE}/")
    return inside if again else f"{run.CODE}/{inside}"


def _as_run(model: Model, code: Mapping[Path, str], *, seed: int, backend: str) -> Spec:
    """The spec with what was chosen written down, and its functions where their copies are."""

    def moved(reference: str) -> str:
        module, _, function = reference.rpartition(":")
        file = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
        copy = code.get((model.base / file).resolve())
        return f"{copy}:{function}" if copy else reference

    def moved_all(source: str | DesignSection | Mapping[str, str | Part]) -> object:
        if isinstance(source, str):
            return moved(source)
        if isinstance(source, DesignSection):
            copy = code[(model.base / source.file).resolve()]
            return source.model_copy(update={"file": copy})
        return {name: moved(one) if isinstance(one, str) else one for name, one in source.items()}

    section = model.spec.model
    if section is not None:
        moved_sources = {
            role: moved_all(source)
            for role in _SOURCES
            if (source := getattr(section, role)) is not None
        }
        section = section.model_copy(update=moved_sources)
    return model.spec.model_copy(
        update={
            "seed": seed,
            "backend": backend,
            "use": tuple(moved(f"{module}:").rstrip(":") for module in model.spec.use),
            "model": section,
        }
    )
