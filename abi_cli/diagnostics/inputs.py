"""Inputs of a diagnosis: draws, truths, data, and their provenance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from abi_cli.diagnostics.advice import UNKNOWN_MEANS, Means
from abi_cli.diagnostics.beside import Exact
from abi_cli.diagnostics.challenge import Challenge
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Limits
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.ranges import Range
from abi_cli.variables import Value


@dataclass(frozen=True)
class Provenance:
    """The provenance of draws.

    Arguments:
        title: Of the report.
        facts: Name → value: seeds, versions, timings, the command.
        spec: The spec as run; empty where there is none.
        methods: What was done to get them, in sentences for a paper.
        references: Of those sentences.
        means: What the networks have, which decides what can be tried.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    spec: str = ""
    methods: str = ""
    references: tuple[str, ...] = ()
    means: Means = UNKNOWN_MEANS


UNKNOWN = Provenance("Posteriors")


@dataclass(frozen=True)
class Inputs:
    """Inputs of a diagnosis.

    Arguments:
        estimates: Parameter → posterior draws `(dataset, draw, *event)`, on the user's scale.
        truths: Parameter → the values that the data were simulated with, `(dataset, *event)`.
        labels: Parameter → its labels, as in the spec; may leave parameters out.
        prior: Parameter → prior draws `(draw, *event)`; empty where the prior is not known.
        history: One row for each epoch: `epoch`, `loss` and, where known, `val_loss` and
            `learning_rate`; empty where there was no training.
        shown: Index of the data set whose posterior is shown.
        shown_label: What to call it; its index by default.
        seed: Of the randomization within tied ranks.
        data: The data sets themselves, without parameters; empty where they are not known.
        given, series: Names of `data` that the model takes and does not draw, and of those whose
            members have an order.
        context: Scalars that vary between data sets, such as their size → `(dataset,)`.
        disagreement: Of an ensemble: element name → share of the variance that lies between its
            members, `(dataset,)`.
        summaries: What the network makes of these data sets, and of observed ones; None where that
            is not known.
        near: Whether posteriors are judged near observed data sets, too.
        joined: In words which observed data set, with what → element name → ranks of truths that
            were drawn from its posterior, `(truth,)`.
        log_density: Of the truths, as the network has it, `(dataset,)`; None where it has none.
        ranges: Element name → what the prior gave of it in training; empty where that is not known.
        notes: What is known besides.
        computed: Names of `estimates` that are no parameters but were computed from them: what is
            not a finite number everywhere among these is left out.
        skipped: What was left out before, and why.
        likelihood: Whether the density of the model is among `estimates`.
        exact: Refined posteriors of the first data sets; None where none were made.
        challenge: What rivals of the network have to say; None where there are none.
        unsure: Why nothing can be told, if so: then that is the verdict.
        limits: What is tolerated.
        source: Where the draws come from.
    """

    estimates: Mapping[str, np.ndarray]
    truths: Mapping[str, np.ndarray]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prior: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    shown: int = 0
    shown_label: str | None = None
    seed: int = 1
    data: Mapping[str, Value] = field(default_factory=dict)
    given: Collection[str] = ()
    series: Collection[str] = ()
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    disagreement: Mapping[str, np.ndarray] = field(default_factory=dict)
    summaries: Summaries | None = None
    near: bool = False
    joined: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    log_density: np.ndarray | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    notes: Sequence[str] = ()
    computed: Collection[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    likelihood: bool = False
    exact: Exact | None = None
    challenge: Challenge | None = None
    unsure: str | None = None
    limits: Limits = DEFAULT_LIMITS
    source: Provenance = UNKNOWN
