"""Networks built and tried, but not trained: their size, and what their training would take."""

from __future__ import annotations

from dataclasses import dataclass

from abi_cli import backend, memory
from abi_cli.listener import Listener
from abi_cli.variables import Datasets, Layout
from abi_cli.workflow.checking.pointing import pointing
from abi_cli.workflow.request import Compute, Model


@dataclass(frozen=True)
class Built:
    """The networks of a spec, and what training them would take here.

    Arguments:
        backend: That they were built on.
        inputs: Name of an input → its shape for one data set; None where it varies.
        weights: Part of the model → how many numbers it has, learned or from the pilot.
        seconds: Part of the training → what it would take; simulating and learning overlap.
        memory: Bytes that this process held at most while it built and tried them.
    """

    backend: str
    inputs: dict[str, tuple[int | None, ...]]
    weights: dict[str, int]
    seconds: dict[str, float]
    memory: int


@dataclass(frozen=True)
class Trial:
    """Data on which networks are tried.

    Arguments:
        model: With a complete spec.
        data: Data sets that it simulated.
        each: Seconds that one process took to simulate one.
    """

    model: Model
    data: Datasets
    layout: Layout
    each: float


def try_networks(trial: Trial, compute: Compute, *, listener: Listener) -> Built:
    """Build the networks, compile them and take a few steps.

    Errors:
        SpecError: The networks don't fit the model.
        UsageError: The backend or device isn't there.
    """
    with listener.task("building the networks"):
        chosen = backend.select(
            compute.backend, spec_backend=trial.model.spec.backend, device=compute.device
        )
        from abi_cli.training.building import adapter_for, rehearse

        spec = trial.model.spec
        with pointing(trial.model, trial.layout):
            adapter = adapter_for(spec, trial.data, trial.layout)
            adapted = adapter.forward(trial.data)
            tried = rehearse(spec, adapter, trial.layout, adapted, seed=spec.seed)
    steps = spec.training.epochs * spec.training.num_batches
    simulations = steps * spec.training.batch_size
    return Built(
        backend=chosen,
        inputs=tried.inputs,
        weights=tried.weights,
        seconds={
            "compiling": tried.compile_seconds,
            "simulating": simulations * trial.each / max(1, compute.workers()),
            "learning": steps * tried.step_seconds,
        },
        memory=memory.peak(),
    )
