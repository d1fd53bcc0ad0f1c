"""Resumption of a training that ended early, and longer training of a finished run."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from abi_cli import registry, run
from abi_cli.bank.bank import is_bank
from abi_cli.errors import DataError, RunError, UsageError
from abi_cli.harmless import to_type
from abi_cli.listener import SILENT, Listener
from abi_cli.model.streams import Purpose
from abi_cli.run import Run
from abi_cli.training.checkpoints import has_checkpoint, read_checkpoint
from abi_cli.training.fitting import refuse_untrainable
from abi_cli.training.parts import Callback
from abi_cli.training.state import State
from abi_cli.training.stopping import Stop
from abi_cli.variables import Layout
from abi_cli.workflow.checking.pointing import pointing
from abi_cli.workflow.learning.folder import (
    Job,
    Receipt,
    learned,
    load_backend,
    simulates,
    telling_how_to_begin_again,
    versions,
)
from abi_cli.workflow.learning.stored import Stock, identity_of, stock_of
from abi_cli.workflow.request import USUAL_COMPUTE, Compute, Model, read_model

T = TypeVar("T", str, int)

_REHEARSAL = 8
"""Rows that show the variables of changed code."""


def resume(
    path: Path,
    *,
    extend: int | None = None,
    data: Path | None = None,
    accept_changed_code: bool = False,
    compute: Compute = USUAL_COMPUTE,
    stop: Stop | None = None,
    listener: Listener = SILENT,
) -> Receipt:
    """Go on with the training of a run, as if it had never been interrupted.

    On the same machine, with the same versions and as many processes, what comes out is what an
    uninterrupted training gives, bit for bit. One that has saved nothing yet begins anew.

    Arguments:
        path: The run folder.
        extend: Epochs to train a finished run longer. The learning rate is that of the longer
            training from there on, so a schedule that had come to its end rises once more.
        data: Where the stored simulations are now, if they were moved.
        accept_changed_code: Go on although the code, or what the spec says under `model:`, is not
            as it was; the manifest keeps which files, and their new hashes.
        compute: The device and number of processes, if they are to differ from before.
        stop: Lets others end the training early, with its state saved.

    Errors:
        RunError: It is no run, somebody else trains it, its state is damaged, or its spec or code
            was changed.
        UsageError: There is nothing to go on with, or nothing to extend yet.
        DataError: The stored simulations are not there, or are others.
        Exception: Those of `train`.
    """
    begun = time.perf_counter()
    stop = stop or Stop()
    with telling_how_to_begin_again(path, listener), run.resume(path) as folder:
        compute = as_begun(folder, compute)
        folder = _as_trained(folder, listener, accept_changed=accept_changed_code)
        manifest = folder.manifest
        model = read_model(path)
        stored = _stored(folder, model, data, listener)
        with pointing(model):
            refuse_untrainable(model.spec, stored=None if stored is None else len(stored))
        state = _state(folder)
        if accept_changed_code and state is not None:
            _refuse_other_variables(folder, model, state)
        folder, state = _where_it_was(folder, model, state, extend)
        _tell(folder, state, listener)
        with compute.pool(needed=simulates(model.spec.training, stored)) as workers:
            load_backend(compute, workers, listener, usual=None)
            epochs = folder.manifest.extended or (model.spec.training.epochs,)
            training = model.spec.training.model_copy(update={"epochs": epochs[-1]})
            spec = model.spec.model_copy(update={"training": training})
            job = Job(
                replace(model, spec=spec),
                manifest.seed,
                stored,
                workers,
                stop,
                listener,
                state=state,
                begun=begun,
            )
            folder = run.noted(folder, resumed=(*manifest.resumed, _now()))
            return learned(folder, job)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def as_begun(folder: Run, compute: Compute) -> Compute:
    """The place to go on: as asked for, else as the training was begun, else by default.

    Errors:
        UsageError: Another backend is asked for.
    """
    manifest = folder.manifest
    asked = None if "backend" in compute.defaults else compute.backend
    if asked not in (None, manifest.backend):
        raise UsageError(
            f"Expected --backend {manifest.backend}, with which {folder.path} was begun; "
            f"got {asked}",
            hint="Leave it out.",
        )
    device = None if manifest.device == "default" else manifest.device
    return Compute(
        manifest.backend,
        _wish(compute, "device", compute.device, device),
        _wish(compute, "jobs", compute.jobs, manifest.jobs),
        executor=compute.executor,
    )


def _wish(compute: Compute, name: str, now: T | None, begun: T | None) -> T | None:
    """The value now: what is asked for, else as the training was begun, else the default."""
    wished = now is not None and name not in compute.defaults
    return now if wished or begun is None else begun


def _as_trained(folder: Run, listener: Listener, *, accept_changed: bool) -> Run:
    """The run, if its spec and code are those that it has learned from, or changes are accepted.

    Others are entered into it when its training goes on, not before.

    Errors:
        RunError: They were changed, and may not be.
    """
    try:
        folder.trained_spec_file()
        folder.refuse_changed_code()
    except RunError as error:
        if not accept_changed:
            path = folder.path
            on = to_type("abi", "train", "--resume", path, "--accept-changed-code")
            error.hint = f"{error.hint}\nTo go on with it: {on}"
            raise
        folder = run.accepted(folder, when=_now())
        changed = ", ".join(folder.manifest.accepted[-1].files)
        listener.warn(
            f"changed since the training was begun: {changed}; what is learned is learned from "
            "the simulations of both"
        )
    return folder


def _refuse_other_variables(folder: Run, model: Model, state: State) -> None:
    """Refuse changed code whose variables are not those of the networks.

    Errors:
        RunError: They are others, or of other shapes.
    """
    if model.simulator is None:
        return
    rows = max(_REHEARSAL, 2 * model.simulator.unit)
    few = model.simulator.simulate(
        seed=folder.manifest.seed, purpose=Purpose.PILOT, start=0, stop=rows
    )
    with pointing(model):
        now = _shapes(model.layout(few))
    before = _shapes(Layout.from_config(state.networks["layout"]))
    if now != before:
        odd = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
        told = "; ".join(f"{name}: {now.get(name)}, not {before.get(name)}" for name in odd)
        raise RunError(
            f"the changed code of {folder.path} gives other variables than its networks learn: "
            f"{told}",
            hint=f"Train it anew: {to_type('abi', 'train', folder.path, '-o', 'ANOTHER')}",
        )


def _shapes(layout: Layout) -> dict[str, str]:
    """Roles and shapes of the networks' variables, in words."""
    return {
        variable.name: f"{variable.role} of shape "
        + ("members × " if variable.ragged else "")
        + str(variable.event)
        for variable in layout.of("context", "given", "parameter", "observable")
    }


def _state(folder: Run) -> State | None:
    """The last saved state of the training, if there is one."""
    if not has_checkpoint(folder.path / run.STATE):
        return None
    return State.from_checkpoint(read_checkpoint(folder.path / run.STATE))


def _where_it_was(
    folder: Run, model: Model, state: State | None, extend: int | None
) -> tuple[Run, State | None]:
    """The run, with an extension entered into it, and the state to go on from.

    Errors:
        UsageError: There is nothing to go on with, or nothing to extend yet.
    """
    path, manifest = folder.path, folder.manifest
    planned = (manifest.extended or (model.spec.training.epochs,))[-1]
    pending = state is None or not state.finished or state.planned != planned
    if extend is not None:
        if state is None and manifest.trained:
            raise RunError(
                f"{path} holds no state of its training, so it can't be extended",
                hint="Train it anew: "
                + to_type("abi", "train", path, "-s", f"training.epochs={planned + extend}"),
            )
        if state is None or pending or not manifest.trained:
            raise UsageError(
                f"{path} has not come to its end, so there is nothing to extend yet",
                hint=to_type("abi", "train", "--resume", path),
            )
        planned = state.epoch + extend
        folder = run.noted(folder, extended=(*manifest.extended, planned))
    elif manifest.trained and state is None:
        raise RunError(f"{path} holds no state of its training", hint="Train it anew with --force.")
    elif manifest.trained and state is not None and not pending:
        raise UsageError(
            f"{path} has been trained to its end, {state.epoch} epochs",
            hint="Train it longer: "
            + to_type("abi", "train", "--resume", path, "--extend", state.epoch),
        )
    if state is not None and state.finished and state.planned != planned:
        callbacks = [registry.expected(part, Callback) for part in model.spec.training.callbacks]
        state = state.extended(planned, callbacks)
    return folder, state


def _stored(folder: Run, model: Model, data: Path | None, listener: Listener) -> Stock | None:
    """The stored simulations that a run learns from, if it does.

    Errors:
        DataError: They are not there, or are others.
    """
    manifest = folder.manifest
    if not manifest.stored:
        if data is not None:
            raise UsageError(f"{folder.path} learns from fresh simulations, not from --data")
        return None
    if not manifest.data:
        raise DataError(
            f"{folder.path} learns from simulations that came through a pipe, which are gone",
            hint="Keep them in a file, and train anew with --data FILE.",
        )
    known, expected = manifest.data
    file = data or Path(known)
    if not (file.is_file() or is_bank(file)):
        raise DataError(
            f"the simulations that {folder.path} learns from are not there",
            hint="Put them back, or say where they are now: "
            + to_type("abi", "train", "--resume", folder.path, "--data", "FILE"),
            place=str(file),
        )
    if identity_of(file)[1] != expected:
        raise DataError(
            f"these are not the simulations that {folder.path} learns from: the file has changed",
            hint="Put back the file as it was, or train anew with --data FILE --force.",
            place=str(file),
        )
    return stock_of(file, model, seed=manifest.seed, listener=listener, rows=manifest.stored)


def _tell(folder: Run, state: State | None, listener: Listener) -> None:
    """Note from where the training goes on, and what may make its result differ."""
    manifest = folder.manifest
    if state is None:
        listener.note(f"{folder.path} has saved nothing yet: it begins anew")
    else:
        within = f", block {state.blocks + 1}" if state.blocks else ""
        listener.note(f"goes on with epoch {state.epoch + 1} of {state.planned}{within}")
    now = versions(manifest.backend)
    changed = [
        f"{name} {before} is now {now[name]}"
        for name, before in manifest.versions.items()
        if name in now and now[name] != before
    ]
    if changed:
        listener.warn(
            f"{', '.join(changed)}: the training goes on, but not bit for bit as it would have"
        )
