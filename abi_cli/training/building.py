"""Preparations of a training before its first step: networks, the plan of blocks, compiled code."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from abi_cli import backend, registry
from abi_cli.adapter.adapter import (
    INFERENCE_CONDITIONS,
    SUMMARY_STATISTICS,
    SUMMARY_VARIABLES,
    Adapter,
    summarized,
)
from abi_cli.adapter.batches import NOISE, SUMMARY_MASK, bucket_sizes, mask_of, network_inputs
from abi_cli.approximator import Approximator
from abi_cli.networks.network import InferenceNetwork, SummaryNetwork
from abi_cli.spec import Spec, TrainingSection
from abi_cli.training.blocks import Block, BlockPlan
from abi_cli.training.parts import Optimizer, Schedule
from abi_cli.training.state import Shapes
from abi_cli.variables import Datasets, Layout, Ragged, count, take


def adapter_for(spec: Spec, pilot: Datasets, layout: Layout) -> Adapter:
    """The adapter of a spec, fitted to pilot simulations, for what its networks learn.

    Errors:
        AdapterError: As `Adapter.fit`.
    """
    adapter = Adapter.fit(spec.adapter or (), pilot, missing=layout.missing)
    if spec.networks.statistics is not None:
        given = {variable.name for variable in layout.of("given")}
        adapter = adapter.with_statistics(pilot, given=given, series=spec.series())
    if registry.expected(spec.networks.inference, InferenceNetwork).has_draws:
        return adapter
    return adapter.estimating(pilot, [variable.name for variable in layout.of("parameter")])


def build(
    spec: Spec, adapter: Adapter, layout: Layout, adapted: Datasets, *, seed: int
) -> Approximator:
    """The networks of a spec for adapted pilot data sets, scaled on them, ready to be trained.

    What the inference network leaves open is decided by the pilot.
    """
    inputs = network_inputs(take(adapted, slice(0, 1)))
    widths: dict[str, int | list[int]] = {
        name: list(inputs[name].shape[1:])
        if mask_of(name) not in inputs
        else inputs[name].shape[-1]
        for name in summarized(adapted)
    }
    for name in (INFERENCE_CONDITIONS, SUMMARY_STATISTICS):
        if name in inputs:
            widths[name] = inputs[name].shape[-1]
    alone = adapted.get(SUMMARY_VARIABLES)
    named, reader = spec.networks.summary, spec.networks.statistics
    networks = partial(
        Approximator,
        adapter,
        layout,
        summary=None if named is None else registry.expected(named, SummaryNetwork),
        reader=None if reader is None else registry.expected(reader, SummaryNetwork),
        widths=widths,
        buckets=bucket_sizes(alone.row_size) if isinstance(alone, Ragged) else (),
        seed=seed,
    )
    word = registry.expected(spec.networks.inference, InferenceNetwork)
    approximator = networks(inference=word.suited(None))
    suited = word.suited(approximator.initialize(adapted))
    if suited != approximator.inference:
        approximator = networks(inference=suited)
        approximator.initialize(adapted)
    return _prepared(approximator, spec.training)


def rebuild(networks: Mapping[str, Any], training: TrainingSection) -> Approximator:
    """The networks of a training that was interrupted, without their weights.

    Arguments:
        networks: What `Approximator.get_config` gave.
    """
    return _prepared(Approximator.from_config(dict(networks)), training)


def _prepared(approximator: Approximator, training: TrainingSection) -> Approximator:
    schedule = registry.expected(training.learning_rate, Schedule)
    optimizer = registry.expected(training.optimizer, Optimizer)
    approximator.prepare(optimizer.build(schedule.peak), optimizer.clip)
    return approximator


def empty_blocks(blocks: BlockPlan, adapted: Datasets) -> list[Block]:
    """A block without steps of every shape."""
    return [blocks.empty(_fitting(adapted, bucket), bucket) for bucket in blocks.buckets or (0,)]


def shapes_of(empty: Sequence[Block]) -> Shapes:
    """Shapes and types of empty blocks as JSON values, from which `of_shapes` makes such blocks."""
    return [
        {name: [list(array.shape), str(array.dtype)] for name, array in block.items()}
        for block in empty
    ]


def of_shapes(shapes: Shapes) -> list[Block]:
    """Blocks without steps, all zeros."""
    return [
        {name: np.zeros(shape, dtype) for name, (shape, dtype) in block.items()} for block in shapes
    ]


def compile_blocks(approximator: Approximator, empty: Sequence[Block]) -> Block:
    """Run an empty block of every shape, so that training never pauses; gives one of them."""
    approximator.fit(
        backend.feed(iter(empty), empty[0]),
        steps_per_epoch=len(empty),
        shuffle=False,
        verbose=0,
    )
    return empty[0]


def _fitting(adapted: Datasets, bucket: int) -> Datasets:
    """Data sets that fit into a bucket."""
    alone = adapted.get(SUMMARY_VARIABLES)
    if not isinstance(alone, Ragged):
        return adapted
    return take(adapted, np.flatnonzero(alone.row_size <= bucket))


def block_plan(
    training: TrainingSection,
    approximator: Approximator,
    *,
    num_batches: int,
    seed: int,
    accelerated: bool | None = None,
) -> BlockPlan:
    """The plan by which a training is cut into blocks.

    Arguments:
        approximator: What is to be trained.
        num_batches: Of an epoch: the spec's, or what stored simulations make.
        seed: Seed of the run.
        accelerated: Whether for a GPU; None to look.
    """
    schedule = registry.expected(training.learning_rate, Schedule)
    total = training.epochs * num_batches
    return BlockPlan(
        epochs=training.epochs,
        num_batches=num_batches,
        batch_size=training.batch_size,
        buckets=approximator.buckets,
        noise=approximator.inference_network.training_noise,
        seed=seed,
        rate=lambda step: schedule.relative(step, total),
        accelerated=backend.accelerated() if accelerated is None else accelerated,
    )


@dataclass(frozen=True)
class Rehearsal:
    """Networks that were built and timed, but not trained.

    Arguments:
        inputs: Name of an input → its shape for one data set; None where it varies.
        weights: Part of the model → how many numbers it has, learned or from the pilot.
        compile_seconds: Until the first step.
        step_seconds: Of one step, the mean over sizes.
    """

    inputs: dict[str, tuple[int | None, ...]]
    weights: dict[str, int]
    compile_seconds: float
    step_seconds: float


def rehearse(
    spec: Spec, adapter: Adapter, layout: Layout, adapted: Datasets, *, seed: int
) -> Rehearsal:
    """Build and compile the networks of a spec, and time a block of steps of every size."""
    began = time.perf_counter()
    approximator = build(spec, adapter, layout, adapted, seed=seed)
    plan = block_plan(spec.training, approximator, num_batches=spec.training.num_batches, seed=seed)
    example = compile_blocks(approximator, empty_blocks(plan, adapted))
    compiled = time.perf_counter()
    full = []
    for bucket in plan.buckets or (0,):
        few = _fitting(adapted, bucket)
        rows = np.resize(np.arange(count(few)), plan.length * plan.batch_size)
        full.append(plan.make(0, take(few, rows), bucket))
    began_steps = time.perf_counter()
    approximator.fit(
        backend.feed(iter(full), example), steps_per_epoch=len(full), shuffle=False, verbose=0
    )
    steps = plan.length * len(full)
    networks = {
        "summary network": approximator.summary_network,
        "inference network": approximator.inference_network,
        "standardization": approximator.standardization,
    }
    return Rehearsal(
        inputs={
            name: (None, *array.shape[3:]) if mask_of(name) in example else array.shape[2:]
            for name, array in example.items()
            if name not in ("rate", "steps", NOISE) and not name.startswith(SUMMARY_MASK)
        },
        weights={name: part.count_params() for name, part in networks.items() if part is not None},
        compile_seconds=compiled - began,
        step_seconds=(time.perf_counter() - began_steps) / steps,
    )
