"""Going on with a training that ended early, or training a finished run longer."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from abi_cli import registry, run
from abi_cli.errors import DataError, RunError, UsageError
from abi_cli.listener import Listener
from abi_cli.model.workers import Workers
from abi_cli.run import Run
from abi_cli.training.checkpoints import has_checkpoint, read_checkpoint
from abi_cli.training.parts import Callback
from abi_cli.training.state import State
from abi_cli.training.stopping import Stop
from abi_cli.variables import Datasets
from abi_cli.workflow.learning import Job, Receipt, learned, load_backend, versions
from abi_cli.workflow.request import USUAL_COMPUTE, Compute, Model, read_model
from abi_cli.workflow.stored import stored_simulations


def resume(
    path: Path,
    *,
    extend: int | None = None,
    data: Path | None = None,
    compute: Compute = USUAL_COMPUTE,
    stop: Stop | None = None,
    listener: Listener | None = None,
) -> Receipt:
    """Go on with the training of a run, as if it had never been interrupted.

    On the same machine, with the same versions and as many processes, what comes out is what an
    uninterrupted training gives, bit for bit. One that has saved nothing yet begins anew.

    Arguments:
        path: The run folder.
        extend: Epochs to train a finished run longer. The learning rate is that of the longer
            training from there on, so a schedule that had come to its end rises once more.
        data: Where the stored simulations are now, if they were moved.
        compute: The device and number of processes, if they are to differ from before.
        stop: Lets others end the training early, with its state saved.

    Errors:
        RunError: It is no run, somebody else trains it, or its state is damaged.
        UsageError: There is nothing to go on with, or nothing to extend yet.
        DataError: The stored simulations are not there, or are others.
        Exception: Those of `train`.
    """
    begun = time.perf_counter()
    listener, stop = listener or Listener(), stop or Stop()
    with run.resume(path) as folder:
        manifest = folder.manifest
        if compute.backend not in (None, manifest.backend):
            raise UsageError(
                f"Expected --backend {manifest.backend}, with which {path} was begun; "
                f"got {compute.backend}",
                hint="Leave it out.",
            )
        device = None if manifest.device == "default" else manifest.device
        compute = Compute(
            manifest.backend,
            compute.device or device,
            manifest.jobs if compute.jobs is None else compute.jobs,
        )
        model = read_model(path)
        stored = _stored(folder, model, data, listener)
        folder, state = _where_it_was(folder, model, extend)
        _tell(folder, state, listener)
        with Workers(compute.workers() if stored is None else 0) as workers:
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
            now = datetime.now(UTC).isoformat(timespec="seconds")
            folder = run.noted(folder, resumed=(*manifest.resumed, now))
            return learned(folder, job)


def _where_it_was(folder: Run, model: Model, extend: int | None) -> tuple[Run, State | None]:
    """The run, with an extension entered into it, and the state to go on from.

    Errors:
        UsageError: There is nothing to go on with, or nothing to extend yet.
    """
    path, manifest = folder.path, folder.manifest
    state = None
    if has_checkpoint(path / run.STATE):
        state = State.from_checkpoint(read_checkpoint(path / run.STATE))
    planned = (manifest.extended or (model.spec.training.epochs,))[-1]
    pending = state is None or not state.finished or state.planned != planned
    if extend is not None:
        if state is None and manifest.trained:
            raise RunError(
                f"{path} holds no state of its training, so it can't be extended",
                hint=f"Train it anew: abi train {path} -s training.epochs={planned + extend}",
            )
        if state is None or pending or not manifest.trained:
            raise UsageError(
                f"{path} has not come to its end, so there is nothing to extend yet",
                hint=f"abi train --resume {path}",
            )
        planned = state.epoch + extend
        folder = run.noted(folder, extended=(*manifest.extended, planned))
    elif manifest.trained and state is None:
        raise RunError(f"{path} holds no state of its training", hint="Train it anew with --force.")
    elif manifest.trained and state is not None and not pending:
        raise UsageError(
            f"{path} has been trained to its end, {state.epoch} epochs",
            hint=f"Train it longer: abi train --resume {path} --extend {state.epoch}",
        )
    if state is not None and state.finished and state.planned != planned:
        callbacks = [registry.expected(part, Callback) for part in model.spec.training.callbacks]
        state = state.extended(planned, callbacks)
    return folder, state


def _stored(folder: Run, model: Model, data: Path | None, listener: Listener) -> Datasets | None:
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
    known, digest = manifest.data
    file = data or Path(known)
    if not file.is_file():
        raise DataError(
            f"the simulations that {folder.path} learns from are not there",
            hint=f"Put them back, or say where they are now: abi train --resume {folder.path} "
            "--data FILE",
            place=str(file),
        )
    if run.digest(file) != digest:
        raise DataError(
            f"these are not the simulations that {folder.path} learns from: the file has changed",
            hint="Put back the file as it was, or train anew with --data FILE --force.",
            place=str(file),
        )
    return stored_simulations(file, model, seed=manifest.seed, listener=listener)


def _tell(folder: Run, state: State | None, listener: Listener) -> None:
    """Say from where it goes on, and what may keep it from being the same."""
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
