"""Training of the networks of a spec, in a run folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from abi_cli import run
from abi_cli.adapter import Adapter
from abi_cli.bank.bank import Bank, is_bank
from abi_cli.errors import SpecError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.streams import Purpose
from abi_cli.run import ORIGINAL, room
from abi_cli.spec import Spec, dump_spec
from abi_cli.training.contamination import asked_of
from abi_cli.training.fitting import Fitted, refuse_untrainable
from abi_cli.training.stopping import Stop
from abi_cli.workflow.checking.findings import noise_findings
from abi_cli.workflow.checking.pointing import (
    pointing,
    refuse_unknown_names,
    telling_of_names,
)
from abi_cli.workflow.checking.prior_findings import prior_findings, unused_findings
from abi_cli.workflow.learning.copies import Copies, files_of
from abi_cli.workflow.learning.folder import (
    Job,
    Receipt,
    learned,
    load_backend,
    simulates,
    telling_how_to_begin_again,
    versions,
)
from abi_cli.workflow.learning.stored import MOST_OF_BANK, Stock, identity_of, stock_of
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    completed,
    read_model,
)

_REHEARSAL = 8
"""Rows that are simulated and adapted before anything is written or loaded."""
_STORED_REHEARSAL = 256
"""Rows of stored simulations that are read for it: they show which context counts members."""


def train(
    source: Path,
    *,
    target: Target = USUAL_PLACE,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    online: bool = False,
    compute: Compute = USUAL_COMPUTE,
    stop: Stop | None = None,
    listener: Listener = SILENT,
) -> Receipt:
    """Learn the posterior of a spec's model and leave a run folder.

    Arguments:
        source: A spec or a run folder, whose spec is trained anew.
        target: The run folder; runs/NAME by default, NAME being the spec's.
        data: Stored simulations to learn from instead of fresh ones: a file, or a bank.
        online: Mix fresh ones in: as many, unless the spec says which share (`training.online`).
        stop: Lets others end the training early, with its state saved.

    Errors:
        SpecError, DataError, UserFunctionError, Diverged, OutputError, OutOfMemory: As they say.
        StoppedEarly: It was asked for; `resume` goes on.
    """
    begun = time.perf_counter()
    model = read_model(source, overrides=overrides)
    seed = model.spec.seed if seed is None else seed
    path = target.path or Path("runs") / model.spec.name
    model = _online(model, online=online, stored=data is not None)
    model, stored = _rehearse(model, seed=seed, data=data, listener=listener)
    room.refuse_taken(path, force=target.force, by_run=True)
    if room.is_unfinished(path) and not room.is_only_begun(path):
        listener.note(f"{path} is unfinished: it is dropped as soon as this training is saved")
    # Processes that simulate start now, before the backend makes this one large.
    with compute.pool(needed=simulates(model.spec.training, stored)) as workers:
        chosen = load_backend(compute, workers, listener, usual=model.spec.backend)
        job = Job(model, seed, stored, workers, stop or Stop(), listener, begun=begun)
        files, manifest = _first_files(model, seed=seed, backend=chosen, compute=compute)
        if stored is not None and data is not None:
            manifest = replace(manifest, stored=len(stored), data=identity_of(data))
        with (
            telling_how_to_begin_again(path, listener),
            run.begin(path, manifest, files, force=target.force) as folder,
        ):
            return learned(folder, job)


HALF = 0.5
"""Share of fresh simulations among stored ones, where they are asked for and nothing is said."""


def _online(model: Model, *, online: bool, stored: bool) -> Model:
    """The model with a spec that says which share of fresh simulations there is, if any.

    Errors:
        UsageError, SpecError: There are no stored ones that they could be mixed with.
    """
    training = model.spec.training
    hint = "Make a bank: abi simulate SPEC -n N -o BANK/; then abi train SPEC --data BANK/ --online"
    if online and not stored:
        raise UsageError("expected --online with --data: all simulations are fresh ones", hint=hint)
    if not stored and training.online is not None:
        raise SpecError(
            "training.online mixes fresh simulations with stored ones, and there are none",
            hint=hint,
            place="training.online",
        )
    if not online or training.online is not None:
        return model
    training = training.model_copy(update={"online": HALF})
    return replace(model, spec=model.spec.model_copy(update={"training": training}))


def _refuse_bank_of_another(data: Path, model: Model) -> None:
    """Refuse a bank of which no fresh simulations can be had.

    Errors:
        RunError: It is of another model.
    """
    if is_bank(data):
        bank = Bank.open(data)
        bank.refuse_another(
            files_of(model, bank.record.seed, {}),
            hint="Without --online, what is learned is the posterior of the bank's.",
        )


def _rehearse(
    model: Model, *, seed: int, data: Path | None, listener: Listener
) -> tuple[Model, Stock | None]:
    """Simulate, or read, and adapt a few rows, so that mistakes show before the backend is loaded.

    Returns:
        The model with its spec complete, and the stored simulations to learn from, if any.
    """
    stored, fresh = None, data is None
    if data is not None:
        if model.spec.training.online is not None:
            model.need_simulator()
            _refuse_bank_of_another(data, model)
            fresh = True
        stored = stock_of(data, model, seed=seed, listener=listener)
        few = stored.first(_STORED_REHEARSAL)
    else:
        simulator = model.need_simulator()
        rows = max(_REHEARSAL, 2 * simulator.unit)
        with telling_of_names(model, seed=seed):
            few = simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=rows)
    with pointing(model):
        layout = model.layout(few)
        refuse_unknown_names(model.spec, layout)
        asked_of(model.spec.training.noise, few, layout)
        model.judged.refuse_unfit(layout)
    known = None if stored is None else stored.first(MOST_OF_BANK)
    prior = model.prior(layout, seed=seed, stored=known)
    findings = []
    if stored is None:
        simulator = model.need_simulator()
        findings += unused_findings(model.spec, simulator, prior)
    if fresh:
        findings += noise_findings(model.spec, model.need_simulator(), seed=seed)
    derived, number = model.spec.adapter is None, None if stored is None else len(stored)
    model = completed(model, few, prior, stored=number)
    if stored is None and model.augment is not None:
        raise SpecError(
            "training.augment changes stored simulations, and these are fresh ones",
            hint="Let the likelihood do it; or learn from stored ones: --data BANK/.",
            place="training.augment",
        )
    if derived:
        listener.note("derived the adapter from the model's variables: `abi fill` writes it out")
    with pointing(model, layout):
        adapter = Adapter.fit(model.spec.adapter or (), few, missing=layout.missing)
        refuse_untrainable(
            model.spec,
            stored=number,
            fitted=Fitted(adapter, layout, few),
        )
    for finding in [*findings, *prior_findings(layout, prior, adapter, derived=derived)]:
        listener.warn(finding.message, hint=finding.hint)
    return model, stored


def _first_files(
    model: Model, *, seed: int, backend: str, compute: Compute
) -> tuple[dict[str, bytes], run.Manifest]:
    """The files that a run begins with, and its manifest."""
    copies = Copies.of(model)
    spec = _as_run(model, copies, seed=seed, backend=backend)
    files = {
        run.SPEC: dump_spec(spec).encode(),
        ORIGINAL: model.document.source.text.encode(),
        **copies.contents(),
    }
    manifest = run.Manifest(
        name=spec.name,
        seed=seed,
        command=(_program(), *sys.argv[1:]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        backend=backend,
        device=compute.device or "default",
        versions=versions(backend),
        jobs=compute.jobs,
    )
    return files, manifest


def _program() -> str:
    """The name by which this process was called; `python -m abi_cli` is `abi`."""
    script = Path(sys.argv[0])
    return "abi" if script.parent.name == "abi_cli" else script.name


def _as_run(model: Model, copies: Copies, *, seed: int, backend: str) -> Spec:
    """The spec with what was chosen written down, and its functions where their copies are."""
    section, training = model.spec.model, model.spec.training
    if training.augment is not None:
        training = training.model_copy(update={"augment": copies.moved(training.augment)})
    return model.spec.model_copy(
        update={
            "seed": seed,
            "backend": backend,
            "use": tuple(copies.moved(f"{module}:").rstrip(":") for module in model.spec.use),
            "model": section and copies.section(section),
            "training": training,
        }
    )
