"""Learning in a run folder, for a new training and for one that goes on."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from abi_cli import __version__, backend, placing, registry, run
from abi_cli.errors import AbiError, Diverged, StoppedEarly
from abi_cli.harmless import to_type
from abi_cli.listener import Listener
from abi_cli.model.augmenting import Augmentation
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Pool
from abi_cli.networks.network import InferenceNetwork
from abi_cli.run import Run, room
from abi_cli.spec import TrainingSection, seconds
from abi_cli.training.checkpoints import has_checkpoint
from abi_cli.training.mixing import Mixed, share_of
from abi_cli.training.sources import Fresh, Source
from abi_cli.training.stopping import Stop
from abi_cli.workflow.checking.pointing import pointing
from abi_cli.workflow.learning.stored import Stock
from abi_cli.workflow.opened.guarded import keep_reference
from abi_cli.workflow.request import Compute, Model, usable_cores

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator
    from abi_cli.training.state import State


@dataclass(frozen=True)
class Receipt:
    """Results of a training.

    Arguments:
        run: The run folder.
        history: One row per epoch.
        seconds: Part of the work → seconds; `total` is the whole.
        weights: How many weights were learned.
        simulations: How many simulations they were learned from.
        failures: How many more failed and were drawn again.
        loss_unit: Of the losses in the history.
        has_draws: Whether the posterior can be sampled, or else gives estimates alone.
    """

    run: Run
    history: list[dict[str, float]]
    seconds: dict[str, float]
    weights: int
    simulations: int
    failures: int = 0
    loss_unit: str = "nats"
    has_draws: bool = True


@dataclass(frozen=True)
class Job:
    """The job of a training.

    Arguments:
        model: With a complete spec, whose epochs are those of the whole training.
        seed: Seed of the run.
        stored: Simulations to learn from; None for fresh ones.
        workers: Simulate, where they are fresh.
        stop: Whether the training is to end.
        state: To go on from; None to begin.
        begun: When the work began, by `time.perf_counter`.
    """

    model: Model
    seed: int
    stored: Stock | None
    workers: Pool
    stop: Stop
    listener: Listener
    state: State | None = None
    begun: float = 0.0


def simulates(training: TrainingSection, stored: Stock | None) -> bool:
    """True if a training draws simulations."""
    return stored is None or training.online is not None


def load_backend(compute: Compute, workers: Pool, listener: Listener, *, usual: str | None) -> str:
    """Choose and load the backend; gives its name.

    Arguments:
        usual: What the spec wants.
    """
    with listener.task("loading the backend"):
        return backend.select(
            compute.backend,
            spec_backend=usual,
            device=compute.device,
            threads=max(1, usable_cores() // 2) if workers.jobs and not compute.is_remote else None,
        )


def versions(chosen: str) -> dict[str, str]:
    """Versions of the software that the numbers of a training depend on.

    Arguments:
        chosen: The backend.
    """
    return {
        "abi": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "keras", chosen)},
    }


def learned(folder: Run, job: Job) -> Receipt:
    """Train in a run folder that is ours alone, with the backend loaded, to the end.

    Errors:
        SpecError, UserFunctionError, Diverged, OutputError, OutOfMemory: As they say.
        StoppedEarly: It was asked for.
    """
    with _telling_how_to_go_on(folder.path), pointing(job.model):
        return _learned(folder, job)


def _learned(folder: Run, job: Job) -> Receipt:
    from abi_cli.run.archive import save_approximator
    from abi_cli.training.keeping import Keeping
    from abi_cli.training.loop import Plan
    from abi_cli.training.loop import train as learn

    spec, listener, path = job.model.spec, job.listener, folder.path
    loaded = time.perf_counter()
    source = _source(job)
    with backend.all_devices(spec.training.batch_size) as devices:
        if devices > 1:
            listener.note(f"learns on {devices} devices, each from its share of every batch")
        trained = learn(
            Plan(
                spec=spec,
                source=source,
                describe=job.model.layout,
                seed=job.seed,
                keeping=Keeping(
                    folder=path / run.STATE,
                    every=seconds(spec.training.checkpoint_every),
                    history=lambda rows: run.write_history(path / run.HISTORY, rows),
                ),
                state=job.state,
                stop=job.stop,
                listener=listener,
            )
        )
        with placing.replacing(path / run.MODEL) as place:
            save_approximator(trained.approximator, place)
        saved = time.perf_counter()
        keep_reference(folder, source, spec, trained.approximator, listener)
        before = job.state.seconds if job.state else {}
        took = {
            "starting": loaded - job.begun,
            **trained.timings,
            "guard": time.perf_counter() - saved,
            "total": time.perf_counter() - job.begun + sum(before.values()),
        }
        folder = run.finish(
            folder,
            history=trained.history,
            layout=trained.approximator.layout,
            timings={part: round(spent, 3) for part, spent in took.items()},
        )
    network = registry.expected(spec.networks.inference, InferenceNetwork)
    return Receipt(
        run=folder,
        history=trained.history,
        seconds=took,
        weights=trained.approximator.count_params(),
        simulations=len(trained.history) * source.num_batches * spec.training.batch_size,
        failures=trained.failures,
        loss_unit=_unit(network, trained.approximator),
        has_draws=network.has_draws,
    )


def _source(job: Job) -> Source:
    """The source that is learned from: fresh simulations, stored ones, or both."""
    model, training, stored = job.model, job.model.spec.training, job.stored
    if stored is None:
        return Fresh(model.need_simulator(), job.workers, training, seed=job.seed)
    kept = stored.source(
        training, seed=job.seed, augmented=_augmented(model, job.seed, Purpose.AUGMENT)
    )
    if training.online is None:
        return kept
    share = share_of(training.online)
    fresh = Fresh(
        model.need_simulator(),
        job.workers,
        training.model_copy(update={"num_batches": ceil(kept.num_batches * share / (1 - share))}),
        seed=job.seed,
        augmented=_augmented(model, job.seed, Purpose.AUGMENT_FRESH),
    )
    return Mixed(kept, fresh, share)


def _augmented(model: Model, seed: int, purpose: Purpose) -> Augmentation | None:
    """The function that changes data sets each time, if there is one."""
    return None if model.augment is None else Augmentation(model.augment, seed, purpose)


@contextmanager
def telling_how_to_begin_again(path: Path, listener: Listener) -> Iterator[None]:
    """Name the command that goes on with a run, if one is left by a training that is interrupted.

    Around all that changes the folder: a run that was there before may be there again.
    """
    try:
        yield
    except KeyboardInterrupt:
        if room.is_unfinished(path):
            saved = has_checkpoint(path / run.STATE)
            listener.note(
                f"{to_type('abi', 'train', '--resume', path)} goes on "
                f"{'from what was saved' if saved else 'from the start'}"
            )
        raise


@contextmanager
def _telling_how_to_go_on(path: Path) -> Iterator[None]:
    """Name the command that goes on with a training that ends early."""
    command = to_type("abi", "train", "--resume", path)
    try:
        yield
    except StoppedEarly as stopped:
        stopped.hint = f"It goes on with: {command}"
        raise
    except Diverged:
        raise  # it would diverge again
    except AbiError as error:
        if has_checkpoint(path / run.STATE):
            told = f"What was learned is saved; when this is mended, go on with: {command}"
            error.hint = f"{error.hint}\n{told}" if error.hint else told
        raise


def _unit(network: InferenceNetwork, approximator: Approximator) -> str:
    """Unit of the losses; empty where an ensemble's members have another one than the ensemble."""
    in_nats = approximator.inference_network.loss_is_density
    return "" if network.loss_unit == "nats" and not in_nats else network.loss_unit
