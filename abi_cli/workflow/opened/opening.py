"""Opening of a run: its spec, its networks, and the abilities of these."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from abi_cli import backend, registry
from abi_cli.errors import RunError, UsageError
from abi_cli.harmless import to_type
from abi_cli.listener import Listener
from abi_cli.model.modules import load_parts
from abi_cli.networks.network import InferenceNetwork
from abi_cli.run import MODEL, Run
from abi_cli.spec import Spec, read_spec
from abi_cli.workflow.request import Compute, Model, read_model

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator


def open_approximator(run: Run, compute: Compute, listener: Listener) -> Approximator:
    """Load the networks of a run, with the backend that is wanted.

    Errors:
        RunError: They have learned other variables than the run says.
    """
    file = run.model_file()
    with listener.task("loading the networks"):
        backend.select(compute.backend, spec_backend=run.manifest.backend, device=compute.device)
        approximator = _networks(file, run.manifest.hashes[MODEL])
    if approximator.layout != run.layout:
        raise RunError(
            f"{file} has learned other variables than {run.path} says that it has",
            hint="Copy the run folder again, or train it again with --force.",
        )
    return approximator


@lru_cache(maxsize=4)
def _networks(file: Path, _digest: str) -> Approximator:
    """The networks in a file of these contents: opened again, they are there with compiled code."""
    from abi_cli.run.archive import load_approximator

    return load_approximator(file)


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


def network_of(spec: Spec) -> InferenceNetwork:
    """The part of a spec that is its inference network."""
    return registry.expected(spec.networks.inference, InferenceNetwork)


def has_draws(spec: Spec) -> bool:
    """True if the posteriors of a spec's network can be sampled."""
    return network_of(spec).has_draws


def refuse_without_draws(run: Run, spec: Spec) -> None:
    """Refuse to draw from what gives estimates alone.

    Errors:
        UsageError: The run's network has no draws.
    """
    if not has_draws(spec):
        raise UsageError(
            f"{run.path} has no posterior draws: its network, {spec.networks.inference.name}, "
            "gives estimates alone",
            hint=f"{to_type('abi', 'estimate', run.path, 'DATA')}; for draws, train it with "
            "another network, such as -s networks.inference=coupling_flow",
        )


def refuse_without_density(run: Run, spec: Spec) -> None:
    """Refuse to ask for densities where there are none.

    Errors:
        UsageError: The run's network has none.
    """
    network = network_of(spec)
    if not network.has_density:
        raise UsageError(
            f"{run.path} has no posterior density: its network, {network.name}, has none",
            hint="Train it with another network, such as -s networks.inference=coupling_flow",
        )
