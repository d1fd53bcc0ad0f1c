"""The provenance of the posteriors of a run: for a report, and for a paper."""

from __future__ import annotations

import shlex

from abi_cli import registry
from abi_cli.diagnostics import Provenance
from abi_cli.diagnostics.advice import Means
from abi_cli.networks.network import InferenceNetwork, Network, SummaryNetwork
from abi_cli.run import Run
from abi_cli.spec import Spec
from abi_cli.workflow.opened.refining import may_refine


def provenance(run: Run, spec: Spec, inference: InferenceNetwork, *, seed: int) -> Provenance:
    """The provenance of the posteriors of a run.

    Arguments:
        inference: The network that it has.
        seed: Seed of the diagnosis.
    """
    manifest = run.manifest
    seconds = ", ".join(f"{part} {took:.1f} s" for part, took in manifest.timings.items())
    facts = {
        "run": str(run.path),
        "command": shlex.join(manifest.command),
        "begun": manifest.created,
        "seed of training": str(manifest.seed),
        "seed of diagnosis": str(seed),
        "backend": f"{manifest.backend} on {manifest.device}",
        "changed in mid-training": "; ".join(
            f"{', '.join(change.files)} on {change.when}" for change in manifest.accepted
        ),
        "versions": ", ".join(f"{name} {number}" for name, number in manifest.versions.items()),
        "timings": seconds,
    }
    networks = _networks(spec)
    return Provenance(
        title=f"Posteriors of {manifest.name}",
        facts={name: value for name, value in facts.items() if value},
        spec=run.spec_file().read_text(encoding="utf-8"),
        methods=_methods(run, spec),
        means=_means(inference, spec),
        references=tuple(network.reference for network in networks if network.reference),
    )


def _networks(spec: Spec) -> list[Network]:
    """The networks that the spec names, summary first."""
    summary, inference = spec.networks.summary, spec.networks.inference
    named: list[Network] = []
    if summary is not None:
        named.append(registry.expected(summary, SummaryNetwork))
    return [*named, registry.expected(inference, InferenceNetwork)]


def _means(network: InferenceNetwork, spec: Spec) -> Means:
    """The means of the inference network, as far as they decide what else can be tried."""
    largest = network.SIZES["large"].items() if network.SIZES else ()
    return Means(
        network.name,
        getattr(network, "transform", ""),
        getattr(network, "base", ""),
        refines=may_refine(spec),
        large=bool(largest) and all(getattr(network, name) >= value for name, value in largest),
    )


def _methods(run: Run, spec: Spec) -> str:
    """Sentences on how the posteriors were learned."""
    training, versions = spec.training, run.manifest.versions
    by = {
        name: versions[name] for name in ("abi", "keras", run.manifest.backend) if name in versions
    }
    tools = ", ".join(f"{name} {number}" for name, number in by.items())
    summary = ""
    if spec.networks.summary is not None:
        summary = f" of summaries learned by a {_words(spec.networks.summary.name)} network"
    epochs = len(run.history()) or training.epochs
    if run.manifest.stored:
        told = (
            f"{run.manifest.stored:,} stored simulations, part of them held out, in {epochs} "
            f"passes and batches of {training.batch_size}"
        )
        if training.online is not None:
            told += f", with fresh ones among them ({training.online:.0%} of all)"
    else:
        seen = epochs * training.num_batches * training.batch_size
        told = (
            f"{seen:,} simulated data sets ({epochs} epochs of {training.num_batches} batches of "
            f"{training.batch_size}), none used twice"
        )
    return (
        f"Posteriors were approximated by amortized neural posterior estimation ({tools}): a "
        f"conditional {_words(spec.networks.inference.name)} model{summary} was trained on {told}."
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
